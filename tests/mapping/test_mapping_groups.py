"""Groups of segments: every segment is in one place, nobody gets another's, and records are made for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mapping_texts import issues_of, plan_of, problems_of

from bridge.formats.hl7v2 import Hl7Message
from bridge.formats.x12 import X12Message
from bridge.located import Place
from bridge.mapping.contexts import Arrangement, Context
from bridge.mapping.groups import Group, Lines
from bridge.mapping.plan import Plan
from bridge.mapping.syntax import Where

HERE = Place("m.yaml", 1, 1)
GROUPS = {
    "order": Group("order", HERE, "OBR", None, ("ORC",), frozenset({"NTE", "SPM", "TQ1"})),
    "result": Group("result", HERE, "OBX", None, (), frozenset({"NTE", "PRT"}), ("order",)),
    "author": Group("author", HERE, "PRT", Where(4, "AU"), (), frozenset(), ("result",)),
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


LINES = GROUPS | {
    "result": Group(
        "result",
        HERE,
        "OBX",
        None,
        (),
        frozenset({"NTE", "PRT"}),
        ("order",),
        lines=Lines((3,), ((4, frozenset({"TX", "FT"})),)),
    )
}


@pytest.mark.parametrize(
    ("lines", "tree"),
    [
        ("OBR OBX***A*TX OBX***A*TX", "MSH [OBR [OBX OBX]]"),
        ("OBR OBX***A*TX NTE OBX***A*FT NTE", "MSH [OBR [OBX NTE OBX NTE]]"),
        ("OBR OBX***A*TX OBX***B*TX OBX***A*TX NTE", "MSH [OBR [OBX OBX NTE] [OBX]]"),
        ("OBR OBX***A*TX OBX***A*NM OBX***A*NM", "MSH [OBR [OBX] [OBX] [OBX]]"),
        ("OBR OBX***A*TX OBR OBX***A*TX", "MSH [OBR [OBX]] [OBR [OBX]]"),
        ("OBR OBX***A*TX SPM OBX***A*TX", "MSH [OBR SPM [OBX OBX]]"),
        ("OBX***A*TX OBX***A*TX OBR OBX***A*TX", "MSH [OBX OBX] [OBR [OBX]]"),
    ],
)
def test_lines_of_one_text_are_one_instance_and_others_are_not(lines: str, tree: str) -> None:
    segments = [each.replace("*", "|") for each in lines.split()]
    body = "\r".join([r"MSH|^~\&", *segments]).encode()
    assert shown(Arrangement(LINES).arrange(Hl7Message.read(body))) == tree


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ("{same: [3, OBX-4]}", "E206"),
        ("{same: [3], where: {type: [TX]}}", "E206"),
        ("{same: [3], where: [TX]}", "E204"),
        ("{where: {2: [TX]}}", "E203"),
        ("{same: [3], by: 4}", "E200"),
    ],
)
def test_lines_that_are_not_written_right_are_a_mistake(lines: str, code: str) -> None:
    text = LAB.replace("{anchor: OBX, in: order,", "{anchor: OBX, lines: " + lines + ", in: order,")
    assert text != LAB
    assert code in [each.code for each in problems_of(text)]


CLAIMS = {
    "subscriber": Group("subscriber", HERE, "PV1", None, (), frozenset({"IN1", "NTE"})),
    "patient": Group("patient", HERE, "PID", None, (), frozenset({"NTE"}), ("subscriber",)),
    "claim": Group("claim", HERE, "OBR", None, (), frozenset({"NTE"}), ("patient", "subscriber")),
    "other": Group("other", HERE, "IN1", None, (), frozenset({"NTE"}), ("claim",)),
}
"""As in X12 837: a claim is of a subscriber or a patient, and what opens another payer's loop stands in the
subscriber's too."""
CLAIM_TREES = [
    ("MSH PV1 OBR OBR", "MSH [PV1 [OBR] [OBR]]"),
    ("MSH PV1 PID OBR PID OBR", "MSH [PV1 [PID [OBR]] [PID [OBR]]]"),
    ("MSH PV1 PID OBR PV1 OBR", "MSH [PV1 [PID [OBR]]] [PV1 [OBR]]"),
    ("MSH OBR", "MSH [OBR]"),
    ("MSH PV1 IN1 NTE OBR IN1 NTE IN1", "MSH [PV1 IN1 NTE [OBR [IN1 NTE] [IN1]]]"),
    ("MSH PV1 PID IN1 OBR", "MSH [PV1 IN1 [PID] [OBR]]"),
    ("MSH IN1", "MSH [IN1]"),
]


@pytest.mark.parametrize(("segments", "tree"), CLAIM_TREES, ids=[each[0] for each in CLAIM_TREES])
def test_a_group_is_inside_of_whichever_that_may_hold_it_is_open(segments: str, tree: str) -> None:
    assert shown(Arrangement(CLAIMS).arrange(message_of(segments.split()))) == tree


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
        ["R009 key"],
        [],
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


X12_HEAD = """mapping: m
version: 1.0.0
owner: somebody
target: canonical/1
source:
  format: x12
  accept: [837]
  groups:
    subscriber: {anchor: HL(3=22), has: [NM1, REF]}
    claim: {anchor: CLM, in: subscriber, has: [NM1, REF], around: [NM1]}
    line: {anchor: LX, in: claim, has: [SV1]}
    status: {anchor: STC, in: claim}
"""
CLAIM = (
    "ISA*00*          *00*          *ZZ*A              *ZZ*B              *240105*0800*^*00501*000000001*0*P"
    "*:~GS*HC*A*B*20240105*0800*1*X*005010X222A1~ST*837*0001~HL*2*1*22*0~NM1*PR*2*MUTUAL*****PI*PAY~"
    "REF*X*OUTER~{}SE*9*0001~GE*1*1~IEA*1*000000001~"
)


def made_of(rules: str, segments: str, each: str = "claim") -> list[dict[str, object]]:
    """The fields of the organization that is made for each of what is gone through."""
    emit = f"emit:\n  - record: organization\n    for_each: {each}\n    key: CLM-01\n    set:\n      "
    plan = plan_of(X12_HEAD + emit + rules)
    mapped = plan.run(X12Message.read(CLAIM.format(segments).encode()))
    return [dict(record.fields) for record in mapped.records]


def test_two_patients_in_groups_of_their_own_are_two() -> None:
    """What is kept for a message whose PID stands once is found anew in each group: conditions, and lets."""
    plan = plan_of(
        "mapping: m\nversion: 1.0.0\nowner: somebody\ntarget: canonical/1\n"
        "source: {format: hl7v2, accept: [ADT^A40], groups: {person: {anchor: PID, has: [MRG]}}}\n"
        "let: {mrn: PID-3(5=MR).1}\n"
        "emit:\n  - record: patient\n    for_each: person\n    key: PID-3(5=MR).1\n"
        "    set: {identifiers: {list: [{value: mrn}]}, replaces: MRG-1.1, family: PID-5.1}\n"
    )
    body = (
        r"MSH|^~\&|A|N|B|C|20240105||ADT^A40|1|P|2.5.1"
        + "\rPID|||1^^^N^MR||ITO\rMRG|8\rPID|||2^^^N^MR||LIND\rMRG|9"
    )
    mapped = plan.run(Hl7Message.read(body.encode()))
    assert mapped.issues == ()
    assert [(each.key, dict(each.fields)) for each in mapped.records] == [
        ("1", {"identifiers": [{"value": "1"}], "replaces": "8", "family": "ITO"}),
        ("2", {"identifiers": [{"value": "2"}], "replaces": "9", "family": "LIND"}),
    ]


def test_a_let_of_what_a_group_and_one_inside_of_it_may_hold_is_found_anew_in_each() -> None:
    """Its value in one order is no other order's, although results have notes of their own."""
    told = "set: {identifiers: {list: [{value: note}]}}"
    plan = plan_of(
        "mapping: m\nversion: 1.0.0\nowner: somebody\ntarget: canonical/1\n"
        "source:\n  format: hl7v2\n  accept: [ORU^R01]\n  groups:\n"
        "    order: {anchor: OBR, has: [NTE]}\n    result: {anchor: OBX, in: order, has: [NTE]}\n"
        "let: {note: NTE-3}\nemit:\n"
        f"  - {{record: organization, for_each: order, key: OBR-3.1, {told}}}\n"
        f"  - {{record: location, for_each: result, key: OBX-3.1, {told}}}\n"
    )
    orders = "".join(f"OBR|||{n}\rNTE|||of {n}\rOBX|||{n}x\rNTE|||in {n}\r" for n in (1, 2))
    body = r"MSH|^~\&|A|N|B|C|20240105||ORU^R01|1|P|2.5.1" + "\r" + orders
    made = plan.run(Hl7Message.read(body.encode())).records
    assert [each.fields["identifiers"] for each in made] == [
        [{"value": said}] for said in ("of 1", "of 2", "in 1", "in 2")
    ]


def numbers(each: str, rules: str) -> str:
    return f"identifiers: {{list: {{for_each: {each}, {rules}}}}}"


def test_what_a_group_says_is_around_it_counts_where_it_has_none_that_fits() -> None:
    rules = "identifiers: {list: [{value: CLM-01, system: NM1(1=PR)-03, type: REF(1=X)-02}]}"
    own, outer = made_of(rules, "CLM*1~NM1*PR*2*OWN~REF*X*IN~CLM*2~NM1*82*1*DROST~REF*Y*1~")
    assert own["identifiers"] == [{"value": "1", "system": "OWN", "type": "IN"}]
    assert outer["identifiers"] == [{"value": "2", "system": "MUTUAL"}]


def test_a_list_of_what_cannot_be_inside_of_here_is_that_of_the_nearest_one_that_holds_it() -> None:
    segments = "CLM*1~LX*1~LX*2~STC*A~CLM*2~LX*3~STC*B~"
    made = made_of(numbers("line", "set: {value: LX-01}"), segments, "status")
    assert [each["identifiers"] for each in made] == [[{"value": "1"}, {"value": "2"}], [{"value": "3"}]]


def test_several_fields_of_each_segment_are_gone_through_one_by_one() -> None:
    rules = numbers("HI-01..3", "when: HI-01.1 != 'X', set: {value: HI-01.2, type: index | text}")
    (made,) = made_of(rules, "CLM*1~HI*A:1*X:2**D:4~HI*B:3~")
    assert made["identifiers"] == [{"value": "1", "type": "1"}, {"value": "3", "type": "3"}]


@pytest.mark.parametrize(
    ("groups", "code"),
    [
        ("a: {anchor: OBR, in: [b, c]}, b: {anchor: OBX}", "E234"),
        ("a: {anchor: OBR, in: [b]}, b: {anchor: OBX, in: [a]}", "E234"),
        ("a: {anchor: OBR, has: [NTE], around: [PRT]}", "E234"),
    ],
)
def test_groups_that_cannot_be_so_are_mistakes(groups: str, code: str) -> None:
    text = f"source:\n  format: hl7v2\n  accept: [ORU^R01]\n  groups: {{{groups}}}\n"
    assert code in {each.code for each in problems_of(text)}


@pytest.mark.parametrize("fields", ["HI-03..01", "HI-00..2", "HI-01.1..2", "HI-01.."])
def test_fields_that_are_none_are_not_gone_through(fields: str) -> None:
    text = f"{X12_HEAD}emit:\n  - {{record: organization, for_each: {fields}, key: CLM-01, set: {{}}}}\n"
    assert {"E233", "E104", "E105"} & {each.code for each in problems_of(text)}
