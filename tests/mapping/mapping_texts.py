"""Small mapping files and messages for tests, written as a site would write them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from bridge import located
from bridge.config.yaml_tree import read_tree
from bridge.dictionary.hl7v2 import versions_of
from bridge.dictionary.hl7v2_places import beyond
from bridge.formats.hl7v2 import Hl7Message
from bridge.located import Problem
from bridge.mapping.companions import Companion
from bridge.mapping.compile import compile_mapping
from bridge.mapping.plan import Plan
from bridge.message import Mapped

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
HEAD: Final = """\
mapping: trial
version: 1.0.0
owner: clinical-integration
target: canonical/1
source: {format: hl7v2, accept: [ADT^A01], timezone: America/Chicago}
"""

MESSAGE: Final = r"""MSH|^~\&|HIS|NORTH|BRIDGE|HUB|20240102031500||ADT^A01|Q1|P|2.5.1
EVN|A01|20240102031000
PID|1||4711^^^EAST^PI~100234^^^NORTH^MR||okafor^MAREN||19800229|F|||||(512)555-0100
PV1|1|I|3W^310^B||||||||||||||||V-77""".replace("\n", "\r")


def problems_of(text: str, *, file: str = "m.yaml", beside: Mapping[str, str] = NOTHING) -> list[Problem]:
    """Every problem of a mapping file, those of its YAML first. ``beside`` are tables and fragments."""
    return compiled(text, file, beside)[1]


def plan_of(text: str, *, beside: Mapping[str, str] = NOTHING) -> Plan:
    """The plan of a mapping file that has no errors."""
    plan, problems = compiled(text, beside=beside)
    assert plan is not None, "\n".join(map(str, problems))
    return plan


def patient_plan(rules: str, *, more: str = "", head: str = HEAD) -> Plan:
    """The plan of a mapping that makes one patient, with ``rules`` (indented by 6) beside its identifiers."""
    return plan_of(patient_text(rules, more=more, head=head))


def patient_text(rules: str, *, more: str = "", head: str = HEAD) -> str:
    """The file of `patient_plan`."""
    return (
        head
        + more
        + """\
emit:
  - record: patient
    key: join(':', PID-3(5=MR).4.1, PID-3(5=MR).1)
    set:
      identifiers: {list: [{value: PID-3(5=MR).1}]}
"""
        + rules
    )


def message_with(**fields: str) -> Hl7Message:
    """`MESSAGE` with other fields: ``message_with(PID_7="1980")``."""
    lines = [line.split("|") for line in MESSAGE.split("\r")]
    for name, value in fields.items():
        segment, number = name.split("_")
        line = next(each for each in lines if each[0] == segment)
        at = int(number) - (segment == "MSH")
        line.extend("" for _ in range(len(line), at + 1))
        line[at] = value
    return Hl7Message.read("\r".join("|".join(line) for line in lines).encode())


def issues_of(mapped: Mapped) -> list[str]:
    """The issues, as tests in files write them."""
    return [f"{issue.code} {issue.field}" for issue in mapped.issues]


def companions_of(beside: Mapping[str, str]) -> dict[str, Companion]:
    """Tables and fragments as a folder would give them."""
    found: dict[str, Companion] = {}
    for name, text in beside.items():
        tree = read_tree(text, name)[0] if name.endswith(".yaml") else None
        content = text.encode("latin-1" if "\xff" in text else "utf-8")
        found[name] = Companion(name, "0", content, tree if isinstance(tree, located.Mapping) else None)
    return found


def compiled(
    text: str, file: str = "m.yaml", beside: Mapping[str, str] = NOTHING
) -> tuple[Plan | None, list[Problem]]:
    """The plan of a mapping file, None where it has errors, and its problems."""
    tree, problems = read_tree(text, file)
    if not isinstance(tree, located.Mapping):
        return None, problems
    plan, more = compile_mapping(
        tree, digest="sha256:0", companions=companions_of(beside), field_of=versions_of, beyond=beyond
    )
    return (None if problems else plan), [*problems, *more]
