"""Where a first mapping begins: for each record the segment that tells of it, its key, and its usual fields.

A rule is written only where the samples have a value at a place that it reads. What differs between senders
is marked as a question; nothing here is a promise about a sender.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Start:
    """One record. ``needs`` must be filled in the samples, or the record is left out.

    ``fields`` are rules by field, those in ``always`` are written whatever the samples have. ``each`` is what
    it is made for, ``groups`` must be declared for that. ``after`` are records that it refers to. ``asks``
    stands as a comment above it.
    """

    record: str
    needs: tuple[str, ...]
    key: str
    fields: dict[str, str]
    always: frozenset[str] = frozenset()
    each: str = ""
    when: str = ""
    asks: str = ""
    groups: tuple[tuple[str, str], ...] = ()
    after: tuple[str, ...] = ()
    operation: str = ""


TABLES: Final[dict[str, tuple[str, str, dict[str, str]]]] = {
    # table: where its codes stand, what it is, and what is usually meant
    "sex": ("PID-8", "HL7 table 0001", {"F": "female", "M": "male", "O": "other", "A": "other", "N": "other",
                                        "U": "unknown"}),
    "patient_class": ("PV1-2", "HL7 table 0004", {
        "I": "inpatient", "O": "outpatient", "E": "emergency", "P": "preadmit", "R": "recurring",
        "B": "obstetrics", "N": "unknown", "U": "unknown"}),
    "encounter_status": ("MSH-9.2", "HL7 table 0003, events", {
        "A01": "in-progress", "A02": "in-progress", "A03": "finished", "A04": "in-progress", "A05": "planned",
        "A06": "in-progress", "A07": "in-progress", "A11": "cancelled", "A13": "in-progress",
        "A14": "planned", "A27": "cancelled", "A38": "cancelled"}),
    "encounter_operation": ("MSH-9.2", "HL7 table 0003, events", {
        "A11": "cancel", "A27": "cancel", "A38": "cancel"}),
    "order_status": ("ORC-5", "HL7 table 0038", {
        "A": "partial", "CA": "cancelled", "CM": "completed", "DC": "cancelled", "ER": "entered-in-error",
        "HD": "on-hold", "IP": "active", "RP": "cancelled", "SC": "active"}),
    "order_priority": ("OBR-27.6", "HL7 table 0027", {
        "S": "stat", "A": "asap", "R": "routine", "T": "timed", "P": "urgent"}),
    "result_status": ("OBX-11", "HL7 table 0085", {
        "I": "registered", "O": "registered", "S": "preliminary", "R": "preliminary", "P": "preliminary",
        "B": "amended", "A": "amended", "V": "final", "F": "final", "U": "final", "C": "corrected",
        "X": "cancelled", "W": "entered-in-error", "D": "entered-in-error"}),
    "appointment_status": ("SCH-25.1", "HL7 table 0278", {
        "Booked": "booked", "Pending": "pending", "Waitlist": "waitlist", "Complete": "fulfilled",
        "Cancelled": "cancelled", "Noshow": "noshow", "Overbook": "booked", "Blocked": "pending",
        "Started": "arrived", "Deleted": "entered-in-error", "Dc": "cancelled"}),
    "charge_kind": ("FT1-6", "HL7 table 0017", {
        "CG": "charge", "CD": "credit", "PY": "credit", "AJ": "adjustment", "CO": "charge"}),
    "document_status": ("TXA-17", "HL7 table 0271", {
        "DI": "preliminary", "DO": "preliminary", "IN": "preliminary", "IP": "preliminary",
        "PA": "preliminary", "AU": "final", "LA": "final"}),
    "given": ("RXA-20", "HL7 table 0322", {
        "CP": "completed", "PA": "completed", "RE": "not-done", "NA": "not-done"}),
}  # fmt: skip
"""What codes usually mean. Those that the samples have and that are not here are asked about."""

_ORDER: Final = (("order", "{anchor: OBR, lead: [ORC], has: [NTE, TQ1, TQ2, CTD, SPM, DG1, FT1]}"),)
_RESULT: Final = (("result", "{anchor: OBX, in: order, has: [NTE, PRT]}"),)

STARTS: Final = (
    Start(
        "patient",
        ("PID-3",),
        "patient_key",
        {
            "identifiers": "{list: [{system: authority, value: patient_number}]}",
            "family": "PID-5.1",
            "given": "PID-5.2",
            "middle": "PID-5.3",
            "suffix": "PID-5.4",
            "birth_date": "{from: PID-7, on_error: null}",
            "sex": "{from: PID-8, translate: sex, unmapped: null}",
            "line1": "PID-11.1",
            "line2": "PID-11.2",
            "city": "PID-11.3",
            "state": "PID-11.4",
            "postal_code": "PID-11.5",
            "country": "PID-11.6",
            "phone": "PID-13.1 | digits",
            "work_phone": "PID-14.1 | digits",
            "language": "PID-15",
            "marital_status": "PID-16",
            "religion": "PID-17",
            "account_number": "PID-18.1",
            "mother_maiden_name": "PID-6.1",
            "deceased_at": "{from: PID-29, on_error: null}",
            "deceased": "{from: PID-30, on_error: null}",
        },
        always=frozenset({"identifiers"}),
    ),
    Start(
        "encounter",
        ("PV1-19",),
        "join(':', first_of(PV1-19.4.1, MSH-4.1), PV1-19.1)",
        {
            "patient": "{ref: patient}",
            "class": "{from: PV1-2, translate: patient_class, unmapped: null}",
            "status": "{from: MSH-9.2, translate: encounter_status, unmapped: null}",
            "type": "PV1-4",
            "visit_number": "PV1-19.1",
            "account": "PID-18.1",
            "start": "{from: PV1-44, on_error: null}",
            "end": "{from: PV1-45, on_error: null}",
            "ward": "PV1-3.1",
            "room": "PV1-3.2",
            "bed": "PV1-3.3",
            "facility": "[PV1-3.4, MSH-4.1]",
            "attending_npi": "PV1-7.1",
            "attending_family": "PV1-7.2",
            "attending_given": "PV1-7.3",
            "admit_source": "PV1-14",
            "discharge_disposition": "PV1-36",
            "service": "PV1-10",
        },
        always=frozenset({"patient"}),
        when="present(PV1-19.1)",
        after=("patient",),
        operation="{from: MSH-9.2, translate: encounter_operation, default: upsert}",
        asks="Which events change the status of a stay, and which only tell of it?",
    ),
    Start(
        "coverage",
        ("IN1-3", "IN1-36"),
        "join(':', patient_key, IN1-3.1, IN1-36)",
        {
            "patient": "{ref: patient}",
            "payer": "IN1-3.1",
            "member_id": "IN1-36",
            "payer_name": "IN1-4.1",
            "group_number": "IN1-8",
            "plan": "IN1-2.1",
            "subscriber_family": "IN1-16.1",
            "subscriber_given": "IN1-16.2",
            "subscriber_birth_date": "{from: IN1-18, on_error: null}",
            "start": "{from: IN1-12, on_error: null}",
            "end": "{from: IN1-13, on_error: null}",
        },
        always=frozenset({"patient", "payer", "member_id"}),
        each="IN1",
        when="present(IN1-36)",
        after=("patient",),
        asks="Is a member known by IN1-36, as here, or by IN1-49?",
    ),
    Start(
        "order",
        ("OBR-4",),
        "join(':', order_number, OBR-4.1)",
        {
            "patient": "{ref: patient}",
            "code": "[OBR-4.1, OBR-4.4]",
            "code_system": "[OBR-4.3, OBR-4.6]",
            "name": "[OBR-4.2, OBR-4.5]",
            "status": "{from: ORC-5, translate: order_status, default: unknown}",
            "intent": "{const: order}",
            "placer_id": "[OBR-2.1, ORC-2.1]",
            "filler_id": "[OBR-3.1, ORC-3.1]",
            "control_code": "ORC-1",
            "priority": "{from: OBR-27.6, translate: order_priority, unmapped: null}",
            "requester_family": "[ORC-12.2, OBR-16.2]",
            "requester_given": "[ORC-12.3, OBR-16.3]",
            "authored_at": "{from: ORC-9, on_error: null}",
            "observed_at": "{from: OBR-7, on_error: null}",
            "issued_at": "{from: OBR-22, on_error: null}",
            "notes": "NTE(*)-3",
        },
        always=frozenset({"patient", "code", "status", "intent"}),
        each="order",
        groups=_ORDER,
        after=("patient",),
        asks="Is an order known by the number of who fills it, as here, or of who placed it?",
    ),
    Start(
        "result",
        ("OBX-3", "OBR-4"),
        "join(':', order_number, OBR-4.1, OBX-3.1, first_of(OBX-4, '1'))",
        {
            "order": "{ref: order}",
            "patient": "{ref: patient}",
            "sequence": "index",
            "code": "[OBX-3.1, OBX-3.4]",
            "code_system": "[OBX-3.3, OBX-3.6]",
            "name": "[OBX-3.2, OBX-3.5]",
            "sub_id": "OBX-4",
            "status": "{from: OBX-11, translate: result_status, default: unknown}",
            "value_number": "{from: \"if(OBX-2 = 'NM', OBX-5 | decimal)\", on_error: null}",
            "value_text": "\"if(OBX-2 in ['ST', 'TX', 'FT'], join('\\\\n', OBX-5(*).1))\"",
            "value_code": "{part: {code: \"if(OBX-2 in ['CE', 'CWE', 'CNE'], OBX-5.1)\", "
            "display: \"if(OBX-2 in ['CE', 'CWE', 'CNE'], OBX-5.2)\"}}",
            "absent_reason": "if(absent(OBX-5), 'not-sent', if(not (OBX-2 in "
            "['NM', 'ST', 'TX', 'FT', 'CE', 'CWE', 'CNE']), 'unsupported'))",
            "unit": "OBX-6.1",
            "reference_range": "OBX-7",
            "abnormal": "OBX-8(*)",
            "observed_at": "{from: OBX-14, on_error: null}",
            "comments": "NTE(*)-3",
        },
        always=frozenset({"order", "patient", "code", "status", "absent_reason"}),
        each="result",
        groups=_RESULT,
        after=("order",),
        asks="OBX-2 says what a value is: what of NM, SN, CE, ED and the others do these senders send?",
    ),
    Start(
        "appointment",
        ("SCH-11.4",),
        "first_of(SCH-2.1, SCH-1.1)",
        {
            "patient": "{ref: patient}",
            "start": "SCH-11.4",
            "end": "{from: SCH-11.5, on_error: null}",
            "minutes": "{from: SCH-9, on_error: null}",
            "status": "{from: SCH-25.1, translate: appointment_status, default: booked}",
            "type": "SCH-8.1",
            "reason": "SCH-7.2",
            "placer_id": "SCH-1.1",
            "filler_id": "SCH-2.1",
        },
        always=frozenset({"patient", "start", "status"}),
        after=("patient",),
        asks="Does the event (S12, S15, ...) say the status, or SCH-25, as here?",
    ),
    Start(
        "charge",
        ("FT1-4", "FT1-7"),
        "join(':', PID-18.1, FT1-2, FT1-4, FT1-7.1)",
        {
            "account": "PID-18.1",
            "patient": "{ref: patient}",
            "service_date": "FT1-4",
            "code": "FT1-7.1",
            "code_system": "FT1-7.3",
            "description": "[FT1-8, FT1-7.2]",
            "quantity": '{from: "FT1-10 | decimal", default: 1}',
            "kind": "{from: FT1-6, translate: charge_kind, default: charge}",
            "amount": '{from: "FT1-11.1 | decimal", on_error: null}',
            "unit_price": '{from: "FT1-12.1 | decimal", on_error: null}',
            "transaction_id": "FT1-2",
            "batch_id": "FT1-3",
            "department": "FT1-13.1",
            "performer_npi": "FT1-20.1",
            "performer_family": "FT1-20.2",
        },
        always=frozenset({"account", "service_date", "code", "quantity", "kind"}),
        each="FT1",
        after=("patient",),
        asks="What makes a charge the same charge? Here account, FT1-2, day and code; set IDs count anew.",
    ),
    Start(
        "document",
        ("TXA-2", "TXA-12"),
        "join(':', first_of(TXA-12.2, MSH-4.1), TXA-12.1)",
        {
            "patient": "{ref: patient}",
            "type": "TXA-2",
            "status": "{from: TXA-17, translate: document_status, default: unknown}",
            "number": "TXA-12.1",
            "title": "TXA-25",
            "author_npi": "TXA-9.1",
            "author_family": "TXA-9.2",
            "author_given": "TXA-9.3",
            "written_at": "{from: TXA-6, on_error: null}",
            "confidentiality": "TXA-18",
            "text": "\"join('\\\\n', OBX(*)-5.1)\"",
        },
        always=frozenset({"patient", "type", "status"}),
        after=("patient",),
        asks="Is what OBX-5 holds text, as here, or a file (OBX-2 ED, RP)?",
    ),
    Start(
        "immunization",
        ("RXA-5", "RXA-3"),
        "first_of(ORC-3.1, join(':', patient_key, RXA-5.1, RXA-3))",
        {
            "patient": "{ref: patient}",
            "code": "RXA-5.1",
            "code_system": "RXA-5.3",
            "name": "RXA-5.2",
            "status": "{from: RXA-20, translate: given, default: completed}",
            "given_at": "RXA-3",
            "filler_id": "ORC-3.1",
            "lot": "RXA-15",
            "expires": "{from: RXA-16, on_error: null}",
            "manufacturer": "RXA-17.2",
            "route": "RXR-1.1",
            "site": "RXR-2.1",
            "performer_npi": "RXA-10.1",
            "performer_family": "RXA-10.2",
            "location": "RXA-11.4",
        },
        always=frozenset({"patient", "code", "status", "given_at"}),
        each="dose",
        groups=(("dose", "{anchor: RXA, lead: [ORC], has: [RXR, OBX, NTE]}"),),
        after=("patient",),
        asks="Is a dose given here, or told of (RXA-9 01)?",
    ),
    Start(
        "provider",
        ("STF-3",),
        "join(':', MSH-4.1, STF-1.1)",
        {
            "identifiers": "{list: [{system: MSH-4.1, value: STF-1.1}]}",
            "family": "STF-3.1",
            "given": "STF-3.2",
            "middle": "STF-3.3",
            "phone": "STF-10.1 | digits",
        },
        always=frozenset({"identifiers"}),
        each="STF",
        asks="Is a provider known by a national number (NPI)? Then it belongs into the key.",
    ),
)
"""In the order in which they are emitted: what refers to another stands behind it."""
