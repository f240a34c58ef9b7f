"""The envelope says what is known of a record, and how sensitive it is."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from bridge.canonical.base import Tag
from bridge.canonical.envelope import Noticed, enclose
from bridge.canonical.records import RECORDS
from bridge.canonical.values import Instant
from bridge.message import Record


def made(record: str, **more: object) -> Record:
    """The example of a record, as a mapping would make it."""
    given = {**RECORDS[record].example, **more}
    return Record(record, str(given.pop("key")), "upsert", given)


@pytest.mark.parametrize("record", RECORDS)
def test_every_record_can_be_enclosed(record: str) -> None:
    found = enclose(made(record))
    assert (found.record, found.key) == (record, RECORDS[record].example["key"])
    assert found.schema_version == found.meta.model == "canonical/1"
    assert found.clear == ()


def test_what_is_to_be_deleted_stands_apart() -> None:
    found = enclose(made("patient", given=None, phone=None))
    assert found.clear == ("given", "phone")
    assert "given" not in found.fields
    assert found.fields["family"] == "Marlow"


def test_what_is_known_of_a_record_goes_with_it() -> None:
    found = enclose(
        made("patient", event_time="2026-03-04T10:15:00-06:00"),
        about={"source_system": "EHR", "message_id": "1", "mapping": "adt-admit@1.2.0+ab"},
        issues=(Noticed(code="R021", field="start", severity="warning", source_path="PV1-44"),),
        origin={"family": ["PID-5.1"]},
    )
    assert found.event_time == Instant(at="2026-03-04T10:15:00-06:00")
    assert (found.meta.source_system, found.meta.message_id) == ("EHR", "1")
    assert found.issues[0].source_path == "PV1-44"
    assert found.origin == {"family": ["PID-5.1"]}
    told = Instant(at="2026-03-04T11:00:00-06:00", zone_assumed=True, precision="minute")
    assert enclose(made("patient"), event_time=told).event_time == told


CLASSES: list[tuple[Record, dict[str, str], str]] = [
    (made("patient"), {}, "PHI"),
    (made("gl_account"), {}, "FIN"),
    (made("location"), {}, "PUB"),
    (made("location"), {"rent": "9"}, "FIN"),
    (made("patient"), {"study": "HIV-2"}, "SEC"),
]


@pytest.mark.parametrize(("record", "ext", "tag"), CLASSES)
def test_the_classification_is_the_highest_tag_of_what_is_there(
    record: Record, ext: dict[str, str], tag: str
) -> None:
    found = enclose(record, ext=ext, declared={"rent": Tag.FIN, "study": Tag.SEC})
    assert found.meta.classification == tag
    assert {name: each.value for name, each in found.ext.items()} == ext


def test_a_field_of_the_sites_own_needs_a_declared_tag() -> None:
    with pytest.raises(ValueError, match="not declared"):
        enclose(made("patient"), ext={"shoe": "43"})


def test_a_record_that_does_not_fit_gets_no_envelope() -> None:
    with pytest.raises(ValidationError):
        enclose(made("patient", sex="F"))
    with pytest.raises(KeyError):
        enclose(Record("dragon", "1", "upsert", {}))
