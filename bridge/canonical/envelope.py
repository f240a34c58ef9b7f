"""A record with all that is known about it: what it asks for, where it came from, what was noticed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from bridge.canonical.base import PHI, PUB, DateTime, Decimal, Many, Part, Ref, Tag, Text, says
from bridge.canonical.classification import highest, tag_of_fields
from bridge.canonical.records import MODEL, RECORDS
from bridge.canonical.values import Instant
from bridge.message import EXT, Issue, Operation, Record

TagName = Literal["PUB", "FIN", "PII", "PCI", "PHI", "SEC"]
Severity = Literal["error", "warning", "information"]


class Meta(Part):
    """Where a record came from. Nothing here is content of a message but its control ID."""

    source_system: Annotated[Text | None, PUB, says("Who sent it, MSH-3, X12 GS02.")] = None
    facility: Annotated[Text | None, PUB, says("Of which facility, MSH-4.")] = None
    message_id: Annotated[Text | None, PUB, says("Control ID, MSH-10, X12 ST02.")] = None
    message_type: Annotated[Text | None, PUB, says("What kind of message, MSH-9, X12 ST01.")] = None
    offset: Annotated[Decimal | None, PUB, says("Which segment or line of it, from 1.")] = None
    received_at: Annotated[DateTime | None, PUB, says("When it arrived, in UTC.")] = None
    mapping: Annotated[Text | None, PUB, says("The mapping that made it: name@version+sha256.")] = None
    model: Annotated[Text, PUB, says("The version of the records, as in canonical/1.")] = MODEL
    sequence: Annotated[Decimal | None, PUB, says("Which record of its message, from 1.")] = None
    trace_id: Annotated[Text | None, PUB, says("By which its way can be followed.")] = None
    batch_id: Annotated[Text | None, PUB, says("Of which batch, BHS-11, X12 GS06.")] = None
    classification: Annotated[TagName, PUB, says("The highest tag of what it holds.")]


class Noticed(Part):
    """Something that a mapping noticed. It names places, never values."""

    code: Annotated[Text, PUB, says("The code of the issue, as in R020.")]
    field: Annotated[Text | None, PUB, says("The field of the record.")] = None
    severity: Annotated[Severity, PUB, says("How bad it is.")]
    source_path: Annotated[Text | None, PUB, says("Where in the message.")] = None


class Extension(Part):
    """A field of a site's own, which was declared with its tag."""

    value: Annotated[Text, PHI, says("What it holds.")]
    tag: Annotated[TagName, PUB, says("How sensitive it is.")]


class Envelope(Part):
    """One record on its way. ``fields`` have a value, those of ``clear`` are to be deleted."""

    record: Annotated[Text, PUB, says("The kind of record.")]
    schema_version: Annotated[Text, PUB, says("The version that its fields are of.")] = MODEL
    key: Annotated[Ref, PHI, says("The record's own key.")]
    operation: Annotated[Operation, PUB, says("What is asked for: upsert, replace, cancel, delete, merge.")]
    event_time: Annotated[Instant | None, PUB, says("When what it tells happened.")] = None
    meta: Annotated[Meta, PUB, says("Where it came from.")]
    fields: Annotated[dict[str, Any], PHI, says("What it says.")]
    clear: Annotated[Many[Text], PUB, says("Fields whose value is to be deleted.")] = ()
    adds: Annotated[
        Many[Text], PUB, says("Lists whose entries are further ones; any other is all there is.")
    ] = ()
    issues: Annotated[Many[Noticed], PUB, says("What was noticed.")] = ()
    origin: Annotated[
        dict[str, list[str]], PUB, says("The sources of each field."), Field(max_length=1000)
    ] = Field(default_factory=dict)
    ext: Annotated[dict[str, Extension], PHI, says("Fields of the site's own."), Field(max_length=100)] = (
        Field(default_factory=dict)
    )


def enclose(
    made: Record,
    *,
    event_time: Instant | None = None,
    about: Mapping[str, str] | None = None,
    issues: tuple[Noticed, ...] = (),
    origin: Mapping[str, list[str]] | None = None,
    ext: Mapping[str, str] | None = None,
    declared: Mapping[str, Tag] | None = None,
) -> Envelope:
    """The envelope of a record that a mapping made. ``about`` is what goes into ``meta``.

    The classification is the highest tag of what is there: of fields, and of ``ext``. Without ``event_time``
    the record's own is taken.

    :raises ValueError: ``ext`` has a name that is not among ``declared``: such a field needs a tag to load
    :raises pydantic.ValidationError: the record is not what its kind asks for
    """
    model = RECORDS[made.record]
    model.model_validate({"key": made.key, **made.fields})
    tags = declared or {}
    own = {}
    for name, value in (ext or {}).items():
        if name not in tags:
            raise ValueError("a field of the site's own is not declared with a tag")
        own[name] = Extension(value=value, tag=_name(tags[name]))
    tag = highest([tag_of_fields(model, made.fields), *(tags[name] for name in own)])
    if event_time is None and (at := made.fields.get("event_time")) is not None:
        event_time = Instant(at=at)
    return Envelope(
        record=made.record,
        key=made.key,
        operation=made.operation,
        event_time=event_time,
        meta=Meta.model_validate({**(about or {}), "classification": tag.name}),
        fields={name: value for name, value in made.fields.items() if value is not None},
        clear=tuple(name for name, value in made.fields.items() if value is None),
        adds=made.adds,
        issues=issues,
        origin=dict(origin or {}),
        ext=own,
    )


def enclosed(
    made: Record, about: Mapping[str, str], declared: Mapping[str, Tag], issues: Iterable[Issue] = ()
) -> dict[str, Any]:
    """The envelope as JSON has it, of a record that was validated where it was made: `enclose` without asking
    again. What a policy has changed in it since leaves as it is now. ``declared`` are the tags of ``ext``.
    """
    at = made.fields.get("event_time")
    tag = highest([tag_of_fields(RECORDS[made.record], made.fields), *(declared[name] for name in made.ext)])
    return {
        "record": made.record,
        "schema_version": MODEL,
        "key": made.key,
        "operation": made.operation,
        **({} if at is None else {"event_time": {"at": at}}),
        "meta": {**about, "model": MODEL, "classification": tag.name},
        "fields": {name: value for name, value in made.fields.items() if value is not None},
        "clear": [name for name, value in made.fields.items() if value is None]
        + [EXT + name for name, value in made.ext.items() if value is None],
        **({"adds": list(made.adds)} if made.adds else {}),
        "issues": [_noticed(each) for each in issues],
        "ext": {
            name: {"value": value, "tag": declared[name].name}
            for name, value in made.ext.items()
            if value is not None
        },
    }


def _noticed(issue: Issue) -> dict[str, str]:
    told = {"code": issue.code, "field": issue.field, "severity": "warning", "source_path": issue.source}
    return {name: text for name, text in told.items() if text}


def _name(tag: Tag) -> TagName:
    names: dict[Tag, TagName] = {
        Tag.PUB: "PUB",
        Tag.FIN: "FIN",
        Tag.PII: "PII",
        Tag.PCI: "PCI",
        Tag.PHI: "PHI",
        Tag.SEC: "SEC",
    }
    return names[tag]
