"""What is odd about a record's key: half keys, keys that are the same for all, numbers that count anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from bridge.located import Scalar
from bridge.mapping.document import Report
from bridge.mapping.lets import Lets
from bridge.mapping.rules import Around, Rule
from bridge.mapping.syntax import Arithmetic, Call, Expression, Member, Name, Path

_HALF: Final = frozenset({"concat"})
"""Functions that leave a missing part out, and give the rest."""
_COUNTED: Final = frozenset({("MSH", 10), ("MSH", 13), ("BHS", 11), ("FHS", 11)})
"""Numbers of messages: others when the same thing is told again."""
_SET_IDS: Final = frozenset(
    """
    PID OBR OBX NTE NK1 PV1 AL1 DG1 PR1 GT1 IN1 FT1 SPM TQ1 IAM AIS AIG AIL AIP RGS TXA UB1 UB2 ARV PSS PSG
    PSL OM1 OM2 OM3 OM4 OM5 OM6 OM7 CM0 CM1 CM2 RXV IVT PCE PKG STZ SCP SLT LRL
    """.split()
)
"""Segments whose field 1 is a set ID, which numbers them within one message."""


def odd_key(rule: Rule, texts: Sequence[Scalar], around: Around, report: Report) -> None:
    """Warn of what is odd about a key."""
    lets = around.lets
    for text, tree in zip(texts, rule.trees, strict=False):
        parts = list(_within(tree, lets))
        for part in parts:
            if isinstance(part, Call) and part.name in _HALF:
                said = f"the key of {around.owner} is half a key where a part is missing: {part.name}()"
                report.warn(text.place, "E212", said, "join(':', ...) and key(...) then give nothing")
            elif isinstance(part, Path) and counts_anew(part):
                said = f"the key of {around.owner} has {part.text}, which counts anew in each message"
                report.warn(text.place, "E213", said, "use what the sender calls the thing itself")
        read = any(isinstance(part, Path | Member) for part in parts)
        if not read and len(texts) == 1:
            said = f"the key of {around.owner} is the same in every message"
            report.warn(text.place, "E212", said, "make it of what tells records apart")


def counts_anew(path: Path) -> bool:
    """Whether a path reads a set ID, or the number of a message."""
    return (path.segment, path.field) in _COUNTED or (path.segment in _SET_IDS and path.field == 1)


def _within(tree: Expression, lets: Lets) -> Iterator[Expression]:
    """All of an expression, with what lets stand for; conditions are no part of what it gives."""
    yield tree
    inside: tuple[Expression, ...] = ()
    match tree:
        case Name(name=name) if name in lets.found:
            inside = lets.found[name].trees
        case Call(name="if", arguments=(_, *chosen)):
            inside = tuple(chosen)
        case Call(arguments=arguments):
            inside = arguments
        case Arithmetic(left=left, right=right):
            inside = (left, right)
    for each in inside:
        yield from _within(each, lets)
