"""What a place is called that a mapping reads, whatever the format: HL7 v2, X12, EDIFACT, records."""

from __future__ import annotations

from bridge.canonical.base import FieldType, fields
from bridge.canonical.classification import places
from bridge.canonical.records import RECORDS
from bridge.dictionary.edi_names import FORMS, element_name
from bridge.dictionary.hl7v2_names import Names
from bridge.mapping.plan import Plan
from bridge.mapping.syntax import Member, Path


def place_name(path: Path | Member, plan: Plan) -> str:
    """What a path of this mapping is called, '' where nobody knows: columns have the sender's names."""
    if isinstance(path, Member):
        return _of_record(path, plan)
    if plan.format in FORMS:
        return element_name(plan.format, path.segment, path.field, path.component)
    found = Names("").leaf(path.segment, path.field, path.component or 1, path.subcomponent or 1)
    return found.text if found.known else ""


def _of_record(member: Member, plan: Plan) -> str:
    record = RECORDS.get(plan.of_record)
    if record is None or member.base not in ("item", "root"):
        return ""
    names = [step for step in member.steps if isinstance(step, str)]
    known: dict[str, FieldType] = {path.replace("[]", ""): each for path, each in places(fields(record))}
    found = known.get(".".join(names))
    return "" if found is None else found.description
