"""What is written out for speed gives what the closures give, for every mapping and every message."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mapping_texts import HEAD, compiled, message_with, patient_text, plan_of

from bridge.formats.hl7v2 import Hl7Message
from bridge.mapping import generate
from bridge.mapping.plan import Plan

FOLDER = Path(__file__).parents[2]
NAMES = ("adt-admit.yaml", "lab-results.yaml")
SHIPPED = [plan_of((FOLDER / "mappings" / name).read_text("utf-8")) for name in NAMES]
BODIES = [
    *(case.message.replace("\n", "\r").encode() for plan in SHIPPED for case in plan.tests),
    *(path.read_bytes() for path in sorted((FOLDER / "legacy_fixtures" / "hl7v2").glob("*.hl7"))),
]
EDITS = st.lists(
    st.tuples(
        st.integers(0, 2000),
        st.integers(0, 12),
        st.sampled_from(
            [
                b"",
                b"|",
                b"^",
                b"~",
                b"&",
                b'""',
                b"\\",
                b"\\T\\",
                b"\r",
                b"\rOBX|9|",
                b"\rOBR|",
                b"\rORC|",
                b"\rNTE|",
            ]
        )
        | st.binary(max_size=6),
    ),
    max_size=8,
)


def check(plan: Plan, body: bytes) -> None:
    message = Hl7Message.read(body)
    quick, slow = plan.run(message), replace(plan, quick=False).run(Hl7Message.read(body))
    assert (quick.records, quick.failed) == (slow.records, slow.failed)
    assert quick.issues == slow.issues


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(SHIPPED), st.sampled_from(BODIES), EDITS)
def test_shipped_mappings_give_the_same_either_way(
    plan: Plan, body: bytes, edits: list[tuple[int, int, bytes]]
) -> None:
    for at, length, new in edits:
        body = body[:at] + new + body[at + length :]
    check(plan, body)


GROUP_PLANS: dict[str, Plan] = {}
LEAVES = [
    "PID-8.*",
    "PV1-2.*",
    "PID-8(2).*",
    "PV1-2(2).1",
    "PID-5.1",
    "PID-5.2",
    "PID-5(2).1",
    "PID-3(5=MR).1",
    "PID-7",
    "PID-8",
    "PV1-2",
    "MSH-2",
]
TEXTS = st.sampled_from([*LEAVES, "'X'", "a_let", "a_key", "null"])
VALUES = ["okafor^MAREN", "a~b^c", '""', '""^""', "x&y", "\\T\\", "", "I", "19800230", "20240102", "é^ß", "7"]


def expressions() -> st.SearchStrategy[str]:
    def deeper(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        conditions = st.one_of(
            st.builds("({} = 'I')".format, inner),
            st.builds("({} != 'I')".format, inner),
            st.builds("({} in ['I', 'X'])".format, inner),
            st.builds("present({})".format, inner),
            st.builds("absent({})".format, inner),
            st.builds("is_null({})".format, inner),
            st.builds("({} = {})".format, inner, inner),
        )
        joined = st.one_of(conditions, st.builds("(not {} or {})".format, conditions, conditions))
        return st.one_of(
            st.builds("first_of({}, {})".format, inner, inner),
            st.builds("if({}, {}, {})".format, joined, inner, inner),
            st.builds("join('/', {}, {})".format, inner, inner),
            st.builds("({} | upper)".format, inner),
            st.builds("({} | decimal | text)".format, inner),
            st.builds("({} | substr(2))".format, inner),
            st.builds("number_in({})".format, inner),
            st.builds("sn_text({}, {})".format, inner, inner),
        )

    return st.recursive(TEXTS, deeper, max_leaves=6)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(expressions(), min_size=4, max_size=4),
    expressions(),
    st.sampled_from(["", ", on_error: null", ", default: '1980'", ", on_error: default, default: '1980'"]),
    st.sampled_from(["", ", unmapped: null", ", default: unknown", ", unmapped: default, default: other"]),
    st.lists(st.sampled_from(VALUES), min_size=5, max_size=5),
    st.booleans(),
)
def test_any_rules_give_the_same_either_way(
    rules: list[str], key: str, on_error: str, unmapped: str, values: list[str], repeated: bool
) -> None:
    name, again, born, sex = (rule.replace("'", "''") for rule in rules)
    text = patient_text(
        f"      family: '{name}'\n"
        f"      given: {{from: '{again}', required: true}}\n"
        f"      birth_date: {{from: '{born}'{on_error}}}\n"
        f"      sex: {{from: '{sex}', translate: sex{unmapped}}}\n",
        more="tables: {sex: {I: male, X: female, okafor: other}}\n"
        "let: {a_let: [PID-5.3, PID-8], a_key: \"join(':', PID-8, a_let)\"}\n",
    ).replace("key: join(':', PID-3(5=MR).4.1, PID-3(5=MR).1)", "key: '" + key.replace("'", "''") + "'")
    plan, _ = compiled(text)
    if plan is None:
        return
    # A segment without repetitions, subcomponents and escapes is parted without looking for them.
    three = f"{values[4]}~9^^^N^MR" if repeated else "9^^^N^MR"
    message = message_with(PID_5=values[0], PID_7=values[1], PID_8=values[2], PV1_2=values[3], PID_3=three)
    check(plan, message.raw)


GROUPED = HEAD.replace(
    "source: {format: hl7v2, accept: [ADT^A01], timezone: America/Chicago}",
    "source:\n  format: hl7v2\n  accept: [ORU^R01]\n  timezone: America/Chicago\n  groups:\n"
    "    order:  {anchor: OBR, lead: [ORC], has: [NTE, DG1]}\n"
    "    result: {anchor: OBX, in: order, has: [NTE, PRT]AROUND}\n",
)
IN_GROUPS = """
let:
  number: [OBR-3.1, ORC-3.1]
  of_both: join('/', number, OBX-4, PV1-2)
emit:
  - record: order
    for_each: order
    when: present(OBR-4)
    key: join(':', MSH-4.1, number)
    set:
      patient: {const: p}
      code: OBR-4.1
      status: {const: final}
      intent: {const: order}
      notes: NTE(*)-3
      name: PV1-3.1
  - record: result
    for_each: result
    when: OBX-11 != 'N'
    key: join(':', number, OBX-3.1, OBX-4)
    set:
      order: {ref: order}
      patient: {from: [PID-3.1, "'none'"]}
      code: [OBX-3.1, OBX-3.4]
      status: {const: final}
      sequence: group_index
      sub_id: of_both
      name: [PRT-5.2, PV1-3.1, ZZZ-1]
      value_text: OBX-5.1
      method: DG1-3.1
      unit: OBR-4.2
      comments: NTE(*)-3
      abnormal: OBX-8(*)
      performer: NTE-2
"""
SEGMENTS = st.lists(
    st.sampled_from(
        [
            "OBR|1||F1^LIS|c^n", "OBR|2||F2|c", "ORC|RE||O1", "ORC|RE", "OBX|1|NM|a^b|1|t^u|||A~B",
            "OBX|2|ST|a||\\T\\x~y",
            "OBX|3|ST|^^^d|2|\"\"|||\"\"|||N", "OBX|4|ST|a|1|one",
            "NTE|1|L|a note", "NTE|2||more&less", "PRT|1||||^who",
            "PV1|1|I|w1", "PV1|2|O|w2", "PID|1||77", "ZZZ|odd", "DG1|1||d1", "DG1|2||d2",
        ]
    ),
    max_size=14,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(SEGMENTS, st.sampled_from(["", ", around: [NTE]"]))
def test_in_groups_the_same_is_made_whatever_stands_where(segments: list[str], around: str) -> None:
    plan = GROUP_PLANS.setdefault(around, plan_of(GROUPED.replace("AROUND", around) + IN_GROUPS))
    check(plan, "\r".join([r"MSH|^~\&|LAB|NORTH|B|H|2024||ORU^R01|7|P|2.5.1", *segments]).encode())


def test_the_comparison_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        generate,
        "readers",
        lambda _: (lambda text: text, lambda text, count: [text] * count, "^", "~", "&", "\\"),
    )
    plan = plan_of(patient_text("      family: PID-5.1\n"))
    with pytest.raises(AssertionError):
        check(plan, message_with(PID_5="a&b").raw)


def test_what_is_large_goes_through_the_closures() -> None:
    plan = plan_of(patient_text("      family: PID-5.1\n", head=HEAD))
    mapped = plan.run(message_with(PID_5="é" * 600_000))
    assert [issue.code for issue in mapped.issues] == ["R040", "R001"]
