"""Which message types a filter lets pass: told by trying it, where it looks at MSH-9 alone."""

from __future__ import annotations

import re
from typing import Final

from bridge.formats.hl7v2 import Charset, Hl7Message
from bridge.located import Place, Scalar
from bridge.mapping.check import Scope, check_expression, read_expression
from bridge.mapping.expression import compile_condition

USUAL: Final = tuple(
    """
    ACK ADR ADT BAR CRM CSU DFT DOC DSR EAC EAN EAR EDR EQQ ERP ESR ESU INR INU LSR LSU MCF MDM MFD MFK
    MFN MFR NMD NMQ NMR OMB OMD OMG OMI OML OMN OMP OMS ORB ORD ORF ORG ORI ORL ORM ORN ORP ORR ORS ORU
    OSQ OSR OUL PEX PGL PIN PMU PPG PPP PPR PPT PPV PRR PTR QBP QCK QCN QRY QSB QSX QVR RAR RAS RCI RCL
    RDE RDR RDS RDY REF RER RGR RGV ROR RPA RPI RPL RPR RQA RQC RQI RQP RQQ RRA RRD RRE RRG RRI RSP RTB
    SIU SPQ SQM SQR SRM SRR SSR SSU SUR TBR TCR TCU UDM VQQ VXQ VXR VXU VXX
    """.split()
)
"""Message codes of HL7 v2 (table 0076)."""
_LITERALS: Final = re.compile(r"'([A-Za-z0-9^_]{1,20})'")
_UNKNOWN_CODE, _UNKNOWN_EVENT = "QQ0", "Q00"


def types_of(condition: str) -> list[str] | None:
    """The types that a condition lets pass, ``ADT^*`` for all of one; None where it is no matter of types."""
    place = Place("", 1, 1)
    scalar = Scalar(condition, place)
    tree = read_expression(scalar, [])
    scope = Scope({})
    if tree is None or check_expression(tree, scalar, scope, []) is None or not scope.paths:
        return None
    if any((path.segment, path.field) != ("MSH", 9) for path in scope.paths):
        return None
    holds, problems = compile_condition(scalar)
    if holds is None or problems:
        return None
    words = {part for each in _LITERALS.findall(condition) for part in re.split(r"[_^]", each) if part}
    codes = sorted({each for each in words if re.fullmatch("[A-Z][A-Z0-9]{2}", each)} & {*USUAL})
    events = sorted(each for each in words if re.fullmatch("[A-Z][A-Z0-9]{1,3}", each) and each not in USUAL)

    def passes(code: str, event: str) -> bool:
        text = f"MSH|^~\\&|||||||{code}^{event}^{code}_{event}|1|P|2.5\r"
        return holds(Hl7Message.read(text.encode(), Charset("utf-8")))

    if passes(_UNKNOWN_CODE, _UNKNOWN_EVENT) or any(passes(_UNKNOWN_CODE, event) for event in events):
        return None
    found: list[str] = []
    for code in codes:
        if passes(code, _UNKNOWN_EVENT):
            if not all(passes(code, event) for event in events):
                return None
            found.append(f"{code}^*")
        else:
            found += [f"{code}^{event}" for event in events if passes(code, event)]
    return found or None
