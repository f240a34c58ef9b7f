"""Exports that want to do harm, or are no exports: refused with a reason, in bounded time and memory."""

from __future__ import annotations

import gc
import tracemalloc
import zlib

import pytest
from mirth_exports import channel, read, script_step, trial

from bridge.migration.mirth.convert import convert
from bridge.migration.mirth.model import Export
from bridge.migration.mirth.read import read_export
from bridge.migration.mirth.xml_tree import TEXT_MAX_CHARACTERS

_BOMB = "".join(
    f'<!ENTITY e{level} "{f"&e{level - 1};" * 10}">' for level in range(1, 12)
)  # fmt: skip
_ITERATOR = "com.mirth.connect.model.IteratorStep"
_NESTED = f"<{_ITERATOR}><properties><children>" * 30 + f"</children></properties></{_ITERATOR}>" * 30

REFUSED = {
    "entities that grow": (
        f'<!DOCTYPE x [<!ENTITY e0 "x">{_BOMB}]><channel>&e11;</channel>',
        "document type",
    ),
    "one entity": ('<!DOCTYPE x [<!ENTITY e "x">]><channel><name>&e;</name></channel>', "document type"),
    "a file of this machine": (
        '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><channel><name>&e;</name></channel>',
        "document type",
    ),
    "a document type elsewhere": ('<!DOCTYPE x SYSTEM "http://192.0.2.1/x.dtd"><channel/>', "document type"),
    "a parameter entity": ('<!DOCTYPE x [<!ENTITY % p "<!ENTITY q 1>"> %p;]><channel/>', "document type"),
    "an entity that nobody declared": ("<channel><name>&nbsp;</name></channel>", "undefined entity"),
    "a deep nest": ("<channel>" + "<a>" * 100_000, "deep"),
    "iterators in iterators": (channel(_NESTED), "deep"),
    "a huge text": (channel(script_step("x" * (TEXT_MAX_CHARACTERS + 1))), "characters"),
    "half a million elements": ("<channel>" + "<a/>" * 500_000 + "</channel>", "elements"),
    "attributes without end": (
        "<channel " + " ".join(f'a{number}="1"' for number in range(5000)) + "/>",
        "attributes",
    ),
    "a long attribute": (f'<channel version="{"9" * 100_000}"/>', "attributes"),
    "a long name": (f"<channel><{'n' * 100_000}/></channel>", "name"),
    "cut off in the middle": (channel()[:400], "well-formed"),
    "an end that fits nothing": ("<channel><name>x</nam></channel>", "mismatched"),
    "two roots": ("<channel/><channel/>", "junk"),
    "no XML": ("MSH|^~\\&|LAB|NORTH", "well-formed"),
    "nothing": ("", "empty"),
    "blanks": (" \n ", "empty"),
    "some other XML": ("<project><channel/></project>", "no channel"),
    "a stray control character": ("<channel><name>\x01</name></channel>", "well-formed"),
    "JSON": ('{"channel": {}}', "well-formed"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_hostile_export_is_refused_with_a_reason(name: str) -> None:
    text, reason = REFUSED[name]
    export = read(text)
    assert [each.file for each in export.refused] == ["1.xml"]
    assert reason in export.refused[0].reason
    assert len(export.refused[0].reason) < 300
    assert export.channels == []


WRONG_BYTES = {
    "an encoding that is not there": (b'<?xml version="1.0" encoding="klingon"?><channel/>', "encoding"),
    "Latin-1 that says UTF-8": (
        b'<?xml version="1.0" encoding="UTF-8"?><channel><name>\xe4</name></channel>', "well-formed",
    ),
    "half of a UTF-16": ("<channel/>".encode("utf-16")[:-3], "well-formed"),
    "compressed": (zlib.compress(channel().encode()), "well-formed"),
    "zeros": (bytes(100_000), "well-formed"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_BYTES)
def test_wrong_bytes_are_refused_with_a_reason(name: str) -> None:
    data, reason = WRONG_BYTES[name]
    export = Export()
    read_export(data, "x.xml", export)
    assert reason in export.refused[0].reason


def test_what_is_refused_costs_little_memory() -> None:
    """A bomb is refused before it grows: by far less than what it would come to."""
    gc.collect()
    tracemalloc.start()
    try:
        read(REFUSED["entities that grow"][0], REFUSED["a deep nest"][0])
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 16 * 1024**2


def test_other_encodings_are_read() -> None:
    for encoding in ("utf-8", "utf-16", "iso-8859-1"):
        export = Export()
        text = f'<?xml version="1.0" encoding="{encoding}"?>' + channel(name="Zürich")
        read_export(text.encode(encoding), "x.xml", export)
        assert [each.name for each in export.channels] == ["Zürich"], encoding


def test_a_control_character_as_the_old_engine_writes_it_is_made_visible() -> None:
    export = read(channel(script_step("var a = 'X';").replace("X", "&#x1c;&#11;")))
    assert export.refused == []
    (step,) = export.channels[0].source.transformer.elements
    assert step.script == "var a = '\u241c\u240b';"


def test_what_follows_a_refused_file_is_read() -> None:
    export = read(REFUSED["no XML"][0], channel(name="good"))
    assert [each.name for each in export.channels] == ["good"]
    assert len(export.refused) == 1


def test_scripts_that_cannot_be_read_are_no_reason_to_refuse_the_rest() -> None:
    hostile = (
        "(" * 50_000, "a" + "+a" * 50_000, "[" * 50_000, "'", "/", "<a>" * 1000, "`", "x = y\n" * 30_000,
        "/* " * 50_000, "'" + "\\\n" * 50_000, "x = <a " + "{}" * 50_000, "pass='" * 40_000,
        "createDatabaseConnection(" * 10_000, "-----BEGIN PRIVATE KEY-----" * 8_000, "http://" * 30_000,
        "function f() { " + "f();" * 200 + " } f();",
    )  # fmt: skip
    export = read(channel("".join(map(script_step, hostile))))
    assert export.refused == []
    (made,) = convert(export, trial).channels
    assert [each.word for each in made.outcomes] == ["manual"] * len(hostile)
