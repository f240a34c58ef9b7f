"""XML that is made to harm who reads it: refused soon, in little memory, with nothing fetched or expanded."""

from __future__ import annotations

import resource
import time
import tracemalloc
from collections.abc import Iterator

import pytest
from xml_files import reads, split

from bridge.formats.base import Unsplittable
from bridge.formats.xml_file import XmlFile
from bridge.formats.xml_tree import ALL_OF_IT, read_xml

MIB = 1024**2
LAUGHS = b'<!ENTITY a "ha">' + b"".join(
    b'<!ENTITY %c "%b">' % (98 + number, b"&%c;" % (97 + number) * 10) for number in range(9)
)
TYPES = {
    "billion laughs": b"<!DOCTYPE F [" + LAUGHS + b"]><F><R>&j;</R></F>",
    "quadratic blow-up": b'<!DOCTYPE F [<!ENTITY a "' + b"x" * 50_000 + b'">]><F>' + b"&a;" * 9_000 + b"</F>",
    "a file of the machine": b'<!DOCTYPE F [<!ENTITY a SYSTEM "file:///etc/hostname">]><F><R>&a;</R></F>',
    "a server": b'<!DOCTYPE F SYSTEM "http://127.0.0.1:9/x.dtd"><F><R/></F>',
    "a parameter": b'<!DOCTYPE F [<!ENTITY % a SYSTEM "http://127.0.0.1:9/x">%a;]><F><R/></F>',
    "a default": b'<!DOCTYPE F [<!ATTLIST R a CDATA "' + b"x" * 9_000 + b'">]><F>' + b"<R/>" * 9 + b"</F>",
    "a plain one": b"<!DOCTYPE F><F><R/></F>",
    "one behind a record": b"<F><R/><!DOCTYPE F></F>",
    "one in another case of signs": "<!DOCTYPE F><F><R/></F>".encode("utf-16"),
}  # fmt: skip


@pytest.mark.parametrize("name", TYPES)
def test_a_document_type_is_refused_before_anything_in_it_counts(name: str) -> None:
    data = TYPES[name]
    for options in ({"record": "R"}, {"bad_record": "refuse"}, {"record": "R", "bad_record": "refuse"}):
        for step in (7, 1_000_000):
            with pytest.raises(Unsplittable) as refused:
                split(reads(**options), data[:60_000], step=step)
            assert refused.value.reason == ("not-well-formed" if "behind" in name else "doctype")
            assert "Line 1, byte " in str(refused.value)
    read = read_xml(data, ALL_OF_IT)
    assert read.refused is not None
    assert read.refused.code in ("doctype", "not-well-formed")


def endless(begin: bytes, more: bytes, count: int) -> Iterator[bytes]:
    yield begin
    for _ in range(count):
        yield more


def refused_while(splitter: XmlFile, parts: Iterator[bytes]) -> str | None:
    try:
        for part in parts:
            splitter.feed(part)
    except Unsplittable as refused:
        return refused.reason
    return None


SIZE_MIB = 40
HUGE = {
    "a comment": (b"<F><!--", b"x" * MIB, "token-too-large"),
    "an attribute": (b'<F a="', b"x" * MIB, "token-too-large"),
    "a name": (b"<F><", b"x" * MIB, "token-too-large"),
    "an instruction": (b"<F><?x ", b"x" * MIB, "token-too-large"),
    "what is between records": (b"<F>", b" " * MIB, None),
    "a text in a record": (b"<F><R>", b"x" * MIB, "message-too-large"),
    "a section in a record": (b"<F><R><![CDATA[", b"x" * MIB, "message-too-large"),
    "a comment in a record": (b"<F><R><!--", b"x" * MIB, "message-too-large"),
    "elements in each other": (b"<F>", b"<a>" * 100_000, "too-deep"),
    "elements of many names": (b"<F>", b"<n%d/>", "too-many-names"),
    "attributes of many names": (b"<F>", b'<a n%d="" />', "too-many-names"),
    "attributes of one element": (b"<F ", b' a%d=""', "too-many-attributes"),
    "a header": (b"<F><H>", b"<a>x</a>" * 500, None),
    "what says how many there are": (b"<F><T>", b"x" * MIB, None),
}


@pytest.mark.parametrize("name", HUGE)
def test_what_is_huge_takes_little_memory_and_its_end_is_not_waited_for(name: str) -> None:
    begin, more, reason = HUGE[name]
    parts = endless(begin, more, SIZE_MIB)
    if "many names" in name:
        parts = iter(
            (begin, *(b"".join(more % each for each in range(9 * at, 9 * at + 9)) for at in range(3_000)))
        )
    elif reason == "too-many-attributes":
        parts = iter((begin, b"".join(more % each for each in range(9_000)), b">"))
    splitter = reads(record="R", header="H", totals=[{"trailer": "T"}]).splitter(4 * MIB)
    tracemalloc.start()
    before_s = time.process_time()
    try:
        assert refused_while(splitter, parts) == reason
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 24 * MIB
    print(name, f"{time.process_time() - before_s:.2f} s, {most / MIB:.1f} MiB")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 4 * MIB, "in KiB: the parser's own memory too"


def test_a_broken_record_in_every_line_takes_no_more_than_its_time() -> None:
    """Each begins a parser anew, which is told once what stands around."""
    data = b"<F>" + b"<R>&</R>\n" * 5_000 + b"</F>"
    pieces, [batch] = split(reads(record="R"), data)
    assert (len(pieces), batch.last) == (5_000, 5_000)


def test_messages_do_not_grow_without_end_by_what_stands_around_each() -> None:
    begin = b'<F a="' + b"x" * 60_000 + b'">'
    for record in (b"<R/>", b"<R>&</R>"):
        with pytest.raises(Unsplittable) as refused:
            split(reads(record="R"), begin + record * 10_000)
        assert refused.value.reason == "grows-too-much"
    assert len(split(reads(record="R"), begin + record * 100 + b"</F>")[0]) == 100


def test_what_is_said_of_a_refused_file_holds_nothing_of_it() -> None:
    for data in (b"<F><Smith>", b"<F><R>Smith &Smith; </R></F>", b"<F a='Smith' a='Smith'>", b"<Smith/>x"):
        for options in ({"record": "R", "bad_record": "refuse"}, {"record": "Q"}):
            with pytest.raises(Unsplittable) as refused:
                split(reads(**options), data)
            assert "Smith" not in str(refused.value)
    read = read_xml(b"<R>Smith &Smith; </R>", ALL_OF_IT)
    assert read.refused is not None
    assert "Smith" not in str(read.refused)
