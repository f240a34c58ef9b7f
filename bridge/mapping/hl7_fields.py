"""What the compiler knows of HL7 v2 segments: how many fields they have, and which are made of components.

Field counts are those of the version that has most (HL7 v2.9, chapters 2, 3, 4, 6 and 7). A segment that is
not listed, and every Z segment, may have any field.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

FIELDS_MAX: Final[Mapping[str, int]] = MappingProxyType(
    {
        "MSH": 28,
        "EVN": 7,
        "PID": 40,
        "PD1": 23,
        "NK1": 41,
        "PV1": 54,
        "PV2": 50,
        "MRG": 7,
        "AL1": 6,
        "DB1": 8,
        "ACC": 13,
        "GT1": 57,
        "IN1": 55,
        "IN2": 73,
    }
)

SEGMENTS: Final = frozenset(
    """
    ABS ACC ADD ADJ AFF AIG AIL AIP AIS AL1 APR ARQ ARV AUT BHS BLC BLG BPO BPX BTS BTX BUI CDM CDO CER
    CM0 CM1 CM2 CNS CON CSP CSR CSS CTD CTI CTR DB1 DEV DG1 DMI DON DPS DRG DSC DSP DST ECD ECR EDU EQL
    EQP EQU ERQ ERR EVN FAC FHS FT1 FTS GOL GP1 GP2 GSP GSR GT1 IAM IAR IIM ILT IN1 IN2 IN3 INV IPC IPR
    ISD ITM IVC IVT LAN LCC LCH LDP LOC LRL MCP MFA MFE MFI MRG MSA MSH NCK NDS NK1 NPU NSC NST NTE OBR
    OBX ODS ODT OH1 OH2 OH3 OH4 OM1 OM2 OM3 OM4 OM5 OM6 OM7 OMC ORC ORG ORL ORO OVR PAC PCE PCR PD1 PDA
    PDC PEO PES PID PKG PM1 PMT PR1 PRA PRB PRC PRD PRT PSG PSH PSL PSS PTH PV1 PV2 PYE QAK QCK QID QPD
    QRD QRF QRI RCP RDF RDT REL RF1 RFI RGS RMI ROL RQ1 RQD RX1 RXA RXC RXD RXE RXG RXO RXR RXV SAC SCD
    SCH SCP SDD SFT SGH SGT SHP SID SLT SPM SPR STF STZ TCC TCD TQ1 TQ2 TXA UAC UB1 UB2 URD URS VAR VND
    VTQ
    """.split()
)
"""The segments of HL7 v2.1 to v2.9. A name that begins with Z is a site's own."""


def known_segment(name: str) -> bool:
    """Whether a segment of this name can stand in a message."""
    return name in SEGMENTS or name.startswith("Z")


_COMPONENTS: Final[Mapping[str, Mapping[str, tuple[int, ...]]]] = {
    "MSH": {"HD": (3, 4, 5, 6), "MSG": (9,)},
    "PID": {"CX": (2, 3, 4, 18, 21), "XPN": (5, 6, 9), "XAD": (11,), "XTN": (13, 14)},
    "PV1": {"PL": (3, 6, 11, 42, 43), "CX": (5, 19, 50), "XCN": (7, 8, 9, 17, 52)},
    "MRG": {"CX": (1, 2, 3, 4, 5, 6), "XPN": (7,)},
    "NK1": {"XPN": (2,), "XAD": (4,), "XTN": (5, 6)},
    "GT1": {"XPN": (3,), "XAD": (5,)},
    "IN1": {"XPN": (16,), "XAD": (5, 19)},
}

COMPLEX: Final[Mapping[tuple[str, int], str]] = MappingProxyType(
    {
        (segment, field): name
        for segment, types in _COMPONENTS.items()
        for name, numbers in types.items()
        for field in numbers
    }
)
"""The data type of fields whose first component alone is seldom what is meant."""

ONCE: Final = frozenset({"MSH", "EVN", "PID", "PD1", "PV1", "PV2", "MRG"})
"""Segments that stand once for one patient or stay. Several of them are several patients or stays."""
