"""What leaves in the place of a record's own fields: JSON that a mapping makes of them, or the envelope.

Pure. What may not leave is gone before a mapping can read it: it gets the fields of `send_only`, no others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from bridge.canonical.base import Tag
from bridge.canonical.envelope import enclosed
from bridge.component import RecordOperationOptions
from bridge.config.topology import Api
from bridge.destinations.base import Origin, RequestRefused
from bridge.journal.unmapped import WAITS_FOR_CODE
from bridge.mapping.codes import HELD
from bridge.mapping.messages import Message, read_record
from bridge.mapping.plan import Plan
from bridge.message import ADDS, EXT, Issue, Mapped, Microseconds, Record, Shaped

_SAID: Final = {"source_system": ("MSH", 3), "facility": ("MSH", 4), "message_id": ("MSH", 10)}


def about(
    message: Message, plan: Plan, record: Record, records: Iterable[Record], origin: Origin
) -> dict[str, str]:
    """What an envelope says of where a record came from: the message, the mapping, which of its records."""
    told = {name: message.value(*place) for name, place in _SAID.items()}
    found = {name: value for name, value in told.items() if isinstance(value, str) and value}
    if message.message_type:
        found["message_type"] = message.message_type
    if origin.received_at_us:
        found["received_at"] = _instant(origin.received_at_us)
    found["mapping"] = f"{plan.name}@{plan.version}+{plan.digest}"
    number = next((at for at, each in enumerate(records, start=1) if each is record), None)
    return found if number is None else {**found, "sequence": str(number)}


def with_body(
    api: Api,
    operation: str,
    record: Record,
    plan: Plan,
    mapped: Mapped,
    told: Mapping[str, str],
    noticed: dict[str, Mapped] | None,
) -> Shaped:
    """A record of ``mapped``, as policies left it, in the shape that the operation's body has.

    What the body's mapping noticed is added to ``noticed``. Raises RequestRefused where it makes none.
    """
    options, shape = api.operations[operation], api.bodies[operation]
    assert isinstance(options, RecordOperationOptions), "only these have a body"
    left = limited(record, options)
    if shape is None:
        return Shaped(record, enveloped(left, told, plan.tags, mapped.issues))
    found = shaped(shape, left, told)
    if noticed is not None and found.issues:
        earlier = () if shape.name not in noticed else noticed[shape.name].issues
        noticed[shape.name] = replace(found, issues=(*earlier, *found.issues))
    if found.failed or not found.messages:
        held = HELD in {issue.code for issue in found.issues}
        about = f"{WAITS_FOR_CODE}{shape.name}" if held else ""
        raise RequestRefused(f"the mapping {shape.name} made no body", about)
    first, *further = (each.body for each in found.messages)
    return Shaped(record, first, tuple(further))


def limited(record: Record, options: RecordOperationOptions) -> Record:
    """A record with what an operation may send of it, and no more."""
    listed, nulls = options.send_only, options.nulls == "send"

    def kept(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
        return {
            name: value
            for name, value in values.items()
            if prefix + name in listed and (nulls or value is not None)
        }

    fields = kept(record.fields, "")
    adds = tuple(name for name in record.adds if name in fields)
    return replace(record, fields=fields, ext=kept(record.ext, EXT), adds=adds)


def enveloped(
    record: Record, told: Mapping[str, str], tags: Mapping[tuple[str, str], Tag], issues: Iterable[Issue]
) -> bytes:
    """The envelope of a record, as it may be sent."""
    declared = {name: tags.get((record.record, EXT + name), Tag.PHI) for name in record.ext}
    noticed = [each for each in issues if each.record == record.record]
    return orjson.dumps(enclosed(record, told, declared, noticed), option=orjson.OPT_SORT_KEYS)


def shaped(plan: Plan, record: Record, told: Mapping[str, str]) -> Mapped:
    """The documents of JSON that a mapping makes of a record, as it may be sent, and what it noticed."""
    fields = {**record.fields, "key": record.key, "operation": record.operation, "ext": record.ext}
    if record.adds:
        fields[ADDS] = record.adds
    return plan.run(read_record(fields, told))


def _instant(at_us: Microseconds) -> str:
    seconds, fraction = divmod(at_us, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:06d}+00:00"
