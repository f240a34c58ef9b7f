"""Invented admissions: patients that nobody is, in an order that can be checked.

Each message carries its place in its patient's story twice, in the street number (PID-11) and in the bed
(PV1-3), so that whoever receives the records can tell whether they came in order, and once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

FAMILIES = ("ABEL", "BRANDT", "CASTRO", "DEMIR", "EKLUND", "FARKAS", "GALLO", "HORVAT", "IVERSEN", "JANSEN")
GIVEN = ("ADA", "BELA", "CARLA", "DINO", "EDIT", "FLORA", "GUIDO", "HELENE", "IDA", "JORIS")
WARDS = ("3W", "4E", "ICU", "MAT")
STORY = ("A01", "A08", "A08", "A03")
"""What happens to each patient: admitted, corrected twice, discharged."""
_BEGIN = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Synthetic:
    """One message with what is known about it. ``step`` counts from 1 within its patient."""

    patient: str
    step: int
    control_id: str
    body: bytes


def admission(patient: int, step: int, event: str, *, control_id: str, facility: str = "NORTH") -> Synthetic:
    """One ADT message of about 800 bytes."""
    mrn = f"{100000 + patient}"
    family, given = FAMILIES[patient % 10], GIVEN[patient // 10 % 10]
    at = (_BEGIN + timedelta(minutes=7 * patient + 60 * step)).strftime("%Y%m%d%H%M%S+0000")
    ended = at if event == "A03" else ""
    street, phone = f"{step} ELM STREET", f"(512)555-{patient % 10000:04}"
    segments = (
        f"MSH|^~\\&|EHR|{facility}|BRIDGE|HUB|{at}||ADT^{event}^ADT_A01|{control_id}|P|2.5.1|||AL|NE"
        "||UNICODE UTF-8",
        f"EVN|{event}|{at}|||CLERK7^MORROW^TESS",
        f"PID|1||{mrn}^^^{facility}^MR~{900000000 + patient}^^^USSSA^SS||{family}^{given}^Q^^^^L||"
        f"19{40 + patient % 60}0{1 + patient % 9}1{patient % 10}|{'FM'[patient % 2]}|||"
        f"{street}^^AUSTIN^TX^78701^USA||{phone}|||S||AC-{mrn}^^^{facility}^AN",
        f"NK1|1|{family}^ROBIN|SPO^Spouse^HL70063|{street}^^AUSTIN^TX^78701|{phone}",
        f"PV1|1|I|{WARDS[patient % 4]}^31{patient % 10}^{step}^{facility}||||1234567893^WELBY^MARCUS^^^DR|||"
        f"MED||||7|||1234567893^WELBY^MARCUS|IP|V-{mrn}-1^^^{facility}^VN|||||||||||||||||01||||||||{at[:14]}+0000|{ended}",
        "PV2||||||||20260302|20260306|4|4|Observation after a fall",
        "DG1|1||R07.9^Chest pain, unspecified^I10||20260302|A",
    )
    return Synthetic(mrn, step, control_id, "\r".join(segments).encode() + b"\r")


def admissions(
    patients: int, *, first: int = 0, prefix: str = "MSG", steps: int = len(STORY)
) -> Iterator[Synthetic]:
    """The stories of several patients, step by step, as a ward would send them."""
    for step in range(1, steps + 1):
        for patient in range(first, first + patients):
            event = (
                STORY[min(step, len(STORY)) - 1] if steps <= len(STORY) else ("A01" if step == 1 else "A08")
            )
            yield admission(patient, step, event, control_id=f"{prefix}{patient:05}{step:05}")
