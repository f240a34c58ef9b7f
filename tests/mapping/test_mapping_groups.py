"""Groups of segments: every segment is in one place, nobody gets another's, and records are made for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mapping_texts import issues_of, plan_of, problems_of

from bridge.formats.hl7v2 import Hl7Message
from bridge.located import Place
from bridge.mapping.contexts import Arrangement, Context
from bridge.mapping.groups import Group
from bridge.mapping.plan import Plan
from bridge.mapping.syntax import Where

HERE = Place("m.yaml", 1, 1)
GROUPS = {
    "order": Group("order", HERE, "OBR", None, ("ORC",), frozenset({"NTE", "SPM", "TQ1"}), None),
    "result": Group("result", HERE, "OBX", None, (), frozenset({"NTE", "PRT"}), "order"),
    "author": Group("author", HERE, "PRT", Where(4, "AU"), (), frozenset(), "result"),
}
TREES = [
    # segments, and the tree that they are: [anchor or ? without one, what it holds...]
    ("MSH PID NTE ORC OBR NTE OBX NTE SPM OBX", "MSH PID NTE [ORC OBR NTE SPM [OBX NTE] [OBX]]"),
    ("MSH OBX OBR OBX", "MSH [OBX] [OBR [OBX]]"),
    ("MSH ORC OBR ORC OBR OBX ZZZ NTE", "MSH [ORC OBR] [ORC OBR [OBX ZZZ NTE]]"),
    ("MSH ORC ORC OBR", "MSH ?[ORC] [ORC OBR]"),
    ("MSH ORC TQ1 NTE OBR", "MSH [ORC TQ1 NTE OBR]"),
    ("MSH ORC OBX", "MSH ?[ORC [OBX]]"),
    ("MSH OBR OBX PRT*AU NTE PRT*XX OBX", "MSH [OBR [OBX NTE PRT [PRT]] [OBX]]"),
    ("MSH PID OBR PID PV1", "MSH PID [OBR PID PV1]"),
]


def message_of(names: list[str]) -> Hl7Message:
    lines = [
        f"{name[:3]}|{number}|||{name[4:]}" if name != "MSH" else r"MSH|^~\&"
        for number, name in enumerate(names)
    ]
    return Hl7Message.read("\r".join(lines).encode())


def shown(context: Context) -> str:
    inner = " ".join([*(each.name for each in context.own or ()), *map(shown, context.children)])
    return f"{'' if context.anchored else '?'}[{inner}]" if context.group else inner


@pytest.mark.parametrize(("segments", "tree"), TREES, ids=[each[0] for each in TREES])
def test_segments_go_to_the_group_that_is_open_for_them(segments: str, tree: str) -> None:
    assert shown(Arrangement(GROUPS).arrange(message_of(segments.split()))) == tree


def instances(context: Context) -> Iterator[Context]:
    yield context
    for each in context.children:
        yield from instances(each)


NAMES = st.lists(
    st.sampled_from(["PID", "ORC", "OBR", "OBX", "NTE", "SPM", "PRT*AU", "PRT*XX", "ZZZ"]), max_size=40
)


@settings(max_examples=300, deadline=None)
@given(NAMES)
def test_every_segment_is_in_exactly_one_instance_and_every_obx_with_the_obr_before_it(
    names: list[str],
) -> None:
    message = message_of(["MSH", *names])
    top = Arrangement(GROUPS).arrange(message)
    everyone = list(instances(top))
    owned = [segment.index for each in everyone for segment in each.own or ()]
    assert sorted(owned) == [segment.index for segment in message.segments]
    for each in everyone:
        if each.group != "result":
            continue
        (anchor,) = [segment for segment in each.own or () if segment.name == "OBX"]
        before = [s for s in message.segments[: anchor.index] if s.name in ("OBR", "ORC")]
        around = [s for s in (each.parent.own or ()) if s.name in ("OBR", "ORC")] if each.parent else []
        assert around[-1:] == before[-1:]
    assert [each.group_index for each in everyone if each.group == "order" and each.anchored] == list(
        range(1, names.count("OBR") + 1)
    )


LAB = """\
mapping: lab
version: 1.0.0
owner: clinical-integration
target: canonical/1
source:
  format: hl7v2
  accept: [ORU^R01]
  groups:
    order: {anchor: OBR, lead: [ORC], has: [NTE]}
    result: {anchor: OBX, in: order, has: [NTE]}
let: {order_key: "join(':', OBR-3.1, OBR-4.1)"}
emit:
  - record: patient
    key: PID-3.1
    set:
      identifiers: {list: {for_each: PID-3, set: {value: PID-3.1, type: PID-3.5}}}
  - record: order
    for_each: order
    key: order_key
    set:
      patient: {ref: patient}
      code: OBR-4.1
      status: {const: final}
      intent: {const: order}
      notes: NTE(*)-3
  - record: result
    for_each: result
    let: {code: OBX-3.1}
    key: join(':', order_key, code)
    set:
      patient: {ref: patient}
      order: {ref: order}
      code: code
      status: {const: final}
      sequence: index
      value_text: OBX-5
      comments: NTE(*)-3
      method: {from: group_index | text}
"""


def oru(*orders: list[str]) -> Hl7Message:
    lines = [r"MSH|^~\&|||||||ORU^R01|1|P|2.5.1", "PID|1||7^^^N^MR~8^^^N^SS"]
    return Hl7Message.read("\r".join([*lines, *(line for order in orders for line in order)]).encode())


ORDERS = [
    [f"OBR|1||F{n}|C{n}", f"NTE|1||note {n}", *(f"OBX|{m}|ST|A{m}||v{n}.{m}" for m in range(1, n + 1))]
    for n in range(1, 5)
]


def test_each_result_has_its_own_order_and_its_own_notes() -> None:
    mapped = plan_of(LAB).run(oru(ORDERS[1], [*ORDERS[0], "NTE|1||of the result"]))
    assert [(each.record, each.key) for each in mapped.records] == [
        ("patient", "7"),
        ("order", "F2:C2"),
        ("order", "F1:C1"),
        ("result", "F2:C2:A1"),
        ("result", "F2:C2:A2"),
        ("result", "F1:C1:A1"),
    ]
    results = mapped.records[3:]
    assert [each.fields["order"] for each in results] == ["F2:C2", "F2:C2", "F1:C1"]
    assert [each.fields["sequence"] for each in results] == ["1", "2", "1"]
    assert [each.fields["method"] for each in results] == ["1", "2", "3"]
    assert [each.fields.get("comments") for each in results] == [None, None, ["of the result"]]
    assert mapped.records[1].fields["notes"] == ["note 2"]
    assert mapped.records[0].fields["identifiers"] == [
        {"value": "7", "type": "MR"},
        {"value": "8", "type": "SS"},
    ]
    assert mapped.issues == ()


@settings(max_examples=24, deadline=None)
@given(st.permutations(range(4)))
def test_orders_in_another_order_give_the_same_records_in_another_order(order: list[int]) -> None:
    plan = plan_of(LAB.replace("      method: {from: group_index | text}\n", ""))
    straight, changed = plan.run(oru(*ORDERS)), plan.run(oru(*(ORDERS[each] for each in order)))
    assert straight.records
    assert straight.issues == changed.issues == ()

    def by_key(records: object) -> list[str]:
        return sorted(map(repr, records))  # type: ignore[call-overload]

    assert by_key(straight.records) == by_key(changed.records)


CASES = [
    # lines behind the patient, issues, kinds of records
    (["OBX|1|ST|A||v"], ["R900 order"], ["patient"]),
    (["ORC|RE", "OBX|1|ST|A||v"], ["R900 order", "R006 "], ["patient"]),
    (["ORC|RE", "ORC|RE", "OBR|1||F|C"], ["R006 "], ["patient", "order"]),
    (
        ["OBR|1||F|C", "OBX|1|ST|A||v", "OBX|2|ST|A||w"],
        ["R007 key"],
        ["patient", "order", "result", "result"],
    ),
    (
        ["OBR|1||F|C", "OBX|1|ST|A", "OBX|2|ST|B||w", "OBX|3|ST|C"],
        ["R090 ", "R090 "],
        ["patient", "order", "result"],
    ),
]


@pytest.mark.parametrize(("lines", "issues", "records"), CASES)
def test_what_is_wrong_with_one_of_several_is_said_and_harms_no_other(
    lines: list[str], issues: list[str], records: list[str]
) -> None:
    plan = plan_of(LAB.replace("join(':', order_key, code)", "[\"join(':', order_key, code)\", code]"))
    mapped = plan.run(oru(lines))
    assert (issues_of(mapped), [each.record for each in mapped.records]) == (issues, records)


SEGMENTS = """\
emit:
  - record: encounter
    key: PV1-19.1
    set:
      patient: {const: P}
      diagnoses:
        list: {for_each: DG1, when: DG1-6 != 'X', set: {code: DG1-3.1, rank: index}}
      service: DG1(2)-3.1
      reason: DG1(6=W)-3.1
"""


def segments_plan() -> Plan:
    head = LAB[: LAB.index("  groups")].replace("ORU^R01", "ADT^A01")
    return plan_of(head + SEGMENTS)


def test_a_list_takes_one_entry_for_each_segment_and_a_path_one_of_several() -> None:
    lines = [r"MSH|^~\&|||||||ADT^A01|1|P|2.5.1", "PV1|1||||||||||||||||||V", "DG1|1||A|||", "DG1|2||B|||X"]
    (record,) = segments_plan().run(Hl7Message.read("\r".join([*lines, "DG1|3||C|||W"]).encode())).records
    assert record.fields["diagnoses"] == [
        {"code": "A", "rank": "1"},
        {"code": "C", "rank": "3"},
    ]
    assert (record.fields["service"], record.fields["reason"]) == ("B", ["C"])


def test_a_segment_of_a_group_that_is_read_once_and_comes_twice_there_is_told() -> None:
    plan = plan_of(LAB.replace("NTE(*)-3\n      method", "{list: [NTE-3]}\n      method"))
    mapped = plan.run(oru(["OBR|1||F|C", "OBX|1|ST|A||v", "NTE|1||one", "NTE|2||two"]))
    assert [(issue.code, issue.source) for issue in mapped.issues] == [("R005", "NTE")]
    assert mapped.records[-1].fields["comments"] == ["one"]


def test_index_is_known_only_where_something_is_gone_through() -> None:
    (problem,) = problems_of(LAB.replace("key: PID-3.1", "key: index | text"))
    assert problem.code == "E114"
