"""Mappings of XML: what paths read, what of a file is a record, and what a channel must say as well."""

from __future__ import annotations

from typing import Any

import pytest
from mapping_texts import plan_of, problems_of

from bridge.formats.xml_options import XmlOptions
from bridge.formats.xml_tree import XmlReading, read_xml
from bridge.mapping.accounting import account_by
from bridge.mapping.messages import read_message

MAPPING = """\
mapping: in-xml
version: 1.0.0
owner: pharmacy
target: canonical/1
source: {format: xml, record: R, header: H, timezone: UTC}
on_no_record: allow
emit:
  - record: charge
    key: "'k'"
    set:
      account: {const: A}
      service_date: {const: 2026-01-02}
      code: PATH
      quantity: {const: "1"}
      kind: {const: charge}
"""


def codes(path: str, record: str, *, each: str = "", source: str = "record: R, header: H") -> list[str]:
    text = MAPPING.replace("PATH", path).replace("record: R, header: H", source)
    if each:
        text = text.replace("    key: \"'k'\"\n", f"    for_each: {each}\n    key: text(index)\n")
    plan = plan_of(text)
    body = f"<F day='4'><H><Date>d</Date></H>{record}</F>".encode()
    made = plan.run(read_message("xml", body, xml=plan.xml))
    return [str(each.fields["code"]) for each in made.records]


@pytest.mark.parametrize(
    ("path", "record", "expected"),
    [
        ("$.a", "<R><a>1</a></R>", ["1"]),
        ("$.a", "<R><x:a>1</x:a></R>", ["1"]),
        ("$.a", '<R><a unit="mg">1</a></R>', ["1"]),
        ("$.a.@unit", '<R><a unit="mg">1</a></R>', ["mg"]),
        ("$.@id", '<R id="7"/>', ["7"]),
        ("$['a-b'].c", "<R><a-b><c>1</c></a-b></R>", ["1"]),
        ("$.a", "<R><a>see <b>this</b> now</a></R>", ["see this now"]),
        ("$.a.b", "<R><a>see <b>this</b> now</a></R>", ["this"]),
        ("$.a(2)", "<R><a>1</a><a>2</a></R>", ["2"]),
        ("$.a(1)", "<R><a>1</a></R>", ["1"]),
        ("join('+', $.a(*))", "<R><a>1</a><b/><a u='x'>2</a></R>", ["1+2"]),
        ("join('+', $.a(*).b)", "<R><a><b>1</b></a></R>", ["1"]),
        ("$['#text']", "<R>1</R>", ["1"]),
        ("first_of($.a, 'none')", "<R><a>\n  </a></R>", ["none"]),
        ("first_of($.a.b, 'none')", "<R><a><b>1</b></a><a><b>2</b></a></R>", ["none"]),
        ("$header.Date", "<R/>", ["d"]),
        ("$root.a", "<R><a>1</a></R><R><a>2</a></R>", ["1"]),
    ],
)
def test_a_path_reads_elements_attributes_and_texts(path: str, record: str, expected: list[str]) -> None:
    assert codes(path, record) == expected


@pytest.mark.parametrize(
    ("each", "path", "record", "expected"),
    [
        ("$.a", "$.b", "<R><a><b>1</b></a><a><b>2</b></a></R>", ["1", "2"]),
        ("$.a", "$.b", "<R><a><b>1</b></a></R>", ["1"]),
        ("$.a", "$['#text']", "<R><a>1</a><a>2</a></R>", ["1", "2"]),
        ("$.a.b", "$.@id", "<R><a><b id='1'/><b id='2'/></a></R>", ["1", "2"]),
        ("$.a", "$.b", "<R/>", []),
    ],
)
def test_one_is_gone_through_as_several_are(each: str, path: str, record: str, expected: list[str]) -> None:
    assert codes(path, record, each=each) == expected


def test_of_a_list_the_first_is_read_only_where_that_is_said() -> None:
    one = "<R><a><b>1</b></a></R>"
    source = "record: R, header: H, lists: [a]"
    assert codes("first_of($.a.b, 'none')", one, source=source) == ["none"]
    assert codes("$.a(1).b", one, source=source) == ["1"]


def test_every_value_is_read_or_told() -> None:
    text = MAPPING.replace("PATH", "$.a")
    plan = plan_of(text + "ignore:\n  - {path: $.b.@x, because: noise}\n")
    body = b"<F><H><Date>d</Date></H><R><a u='1'>2</a><b x='3'/></R></F>"
    found = account_by(read_message("xml", body, xml=plan.xml), plan)
    assert {value.leaf.place: value.status for value in found.values} == {
        "$.a": "used",
        "$.a.@u": "unmapped",
        "$.b.@x": "ignored",
        "$header.Date": "unmapped",
    }


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("record: R", "record: c:R", "E206"),
        ("record: R", 'record: "R/"', "E206"),
        ("header: H", "header: [H]", "E204"),
        ("header: H", "lists: [1x]", "E206"),
        ("PATH", "$trailer.count", "E235"),
        ("PATH", "PID-3.1", "E109"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(old: str, new: str, code: str) -> None:
    text = MAPPING.replace(old, new).replace("PATH", "$.a")
    assert code in [problem.code for problem in problems_of(text)]
    assert code not in [problem.code for problem in problems_of(MAPPING.replace("PATH", "$.a"))]


def test_without_a_header_there_is_none_to_read() -> None:
    text = MAPPING.replace(", header: H", "").replace("PATH", "$header.a")
    assert "E235" in [problem.code for problem in problems_of(text)]


@pytest.mark.parametrize(
    ("options", "reading", "said"),
    [
        ({"record": "R"}, XmlReading(("R",)), []),
        ({"record": "A/R"}, XmlReading(("R",)), [("record", "write `record: A/R` under its `source`")]),
        ({}, XmlReading(("R",)), [("record", "leave out `record`")]),
        ({"lists": ["a", "b/c"]}, XmlReading(lists=(("b", "c"), ("a",))), []),
        ({"lists": ["a"]}, XmlReading(), [("lists", "write `lists: [a]` under its `source`")]),
    ],
)
def test_a_mapping_says_of_xml_what_its_channel_says(
    options: dict[str, Any], reading: XmlReading, said: list[tuple[str, str]]
) -> None:
    found = list(XmlOptions.model_validate(options).unlike(reading))
    assert [(f"its `{name}` is not that of the channel's format", hint) for name, hint in said] == found


def test_attributes_that_would_have_one_name_both_stay() -> None:
    read = read_xml(b'<R xmlns:p="q" id="1" p:id="2" xmlns="z"/>', XmlReading())
    assert read.root == {"@id": "1", "@p:id": "2"}
