"""Implementation guides of X12: what they do not allow is found by place and code, and no value is told."""

from __future__ import annotations

import logging
import random
import re
import sys
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bridge.cli.generated_entry import FIRST_DAY
from bridge.cli.generated_files import lines_of
from bridge.formats.edifact_format import EdifactOptions
from bridge.formats.x12 import X12Message
from bridge.formats.x12_answer import Groups, Taken, x12_answer
from bridge.formats.x12_format import X12Format, X12Options
from bridge.formats.x12_guide import Finding, Unchecked, findings

SENT = (
    "ISA*00*          *00*          *ZZ*PAYER          *ZZ*HOSPITAL       *260301*1200*^*00501*000000905*0*T"
    "*:~GS*HP*PAYER*HOSPITAL*20260301*1200*7*X*005010X221A1~ST*835*0001~BPR*I*100*C*ACH*CCP*01*123456789*DA*12*"
    "1512345678**01*123456789*DA*34*20260301~TRN*1*12345*1512345678~DTM*405*20260301~N1*PR*PAYER~"
    "N3*1 MAIN ST~N4*FENWICK*TX*78701~PER*BL*DESK*TE*5125550100~N1*PE*NORTH CLINIC*XX*1234567893~LX*1~"
    "CLP*PCN1*1*100*100**12*ICN1*11~NM1*QC*1*DOE*JANE****MI*M1~SVC*HC:99213*100*100**1~DTM*472*20260215~"
    "SE*16*0001~GE*1*7~IEA*1*000000905~"
)  # fmt: skip
CASES = {
    "as it should be": ("", "", []),
    "a code that is none": ("CLP*PCN1*1*", "CLP*PCN1*SECRET*", [("CLP-02", 11, "5"), ("CLP-02", 11, "7")]),
    "no number": ("*100*100**12*", "*100*SECRET**12*", [("CLP-04", 11, "6")]),
    "a segment that is missing": ("NM1*QC*1*DOE*JANE****MI*M1~", "", [("NM1", 12, "3")]),
    "a component": ("SVC*HC:99213*", "SVC*HC*", [("SVC-01.2", 13, "1")]),
    "a segment that belongs nowhere": ("LX*1~", "LX*1~QQQ*SECRET~", [("QQQ", 11, "1")]),
    "a separator that is amiss": ("LX*1~", "LX*1~SECRET NAME~", [("?", 11, "1"), ("?", 11, "8")]),
}


@pytest.mark.parametrize("name", CASES)
def test_what_a_guide_does_not_allow_is_found_by_place_and_code(
    name: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    before, after, expected = CASES[name]
    assert before in SENT
    body = SENT.replace(before, after, 1).encode() if before else SENT.encode()
    with caplog.at_level(logging.INFO):
        found = findings(body)
    assert [(each.place, each.position, each.code) for each in found] == expected
    assert found == findings(body), "guides that were loaded are as they were"
    assert "SECRET" not in repr(found)
    assert (caplog.text, capfd.readouterr()) == ("", ("", ""))


@pytest.mark.parametrize("kind", ["835", "837"])
def test_files_that_are_generated_are_as_their_guide_says(kind: str) -> None:
    assert findings(b"".join(lines_of(kind, 3, 40, FIRST_DAY))) == ()


def made(**guide: object) -> X12Format:
    return X12Format(X12Options.model_validate({"guide": {"by": "pyx12", **guide}}))


WRONG = SENT.replace("CLP*PCN1*1*", "CLP*PCN1*SECRET*").encode()
NO_GUIDE = SENT.replace("005010X221A1", "005010X999").encode()


@pytest.mark.parametrize(
    ("body", "guide", "expected"),
    [
        (SENT.encode(), {}, None),
        (WRONG, {}, ("guide", "CLP-02 5", True)),
        (WRONG, {"findings": "note"}, ("guide", "CLP-02 5", False)),
        (NO_GUIDE, {}, ("guide-unchecked", "no-guide", False)),
        (NO_GUIDE, {"unchecked": "quarantine"}, ("guide-unchecked", "no-guide", True)),
        (SENT.encode(), {"max_segments": 5}, ("guide-unchecked", "too-large", False)),
        (b"no", {}, ("guide-unchecked", "failed", False)),
    ],
)
def test_a_channel_says_what_becomes_of_what_its_guide_does_not_allow(
    body: bytes, guide: dict[str, object], expected: tuple[str, str, bool] | None
) -> None:
    found = made(**guide).objection(body, ())
    assert (None if found is None else (found.code, found.path, found.holds)) == expected
    assert X12Format(X12Options.model_validate({})).objection(body, ()) is None


def test_a_failure_of_the_library_costs_one_transaction() -> None:
    fails = patch("pyx12.map_walker.walk_tree.walk_errors", side_effect=AttributeError("SECRET"))
    with fails, pytest.raises(Unchecked) as caught:
        findings(SENT.encode())
    assert (caught.value.code, "SECRET" in str(caught.value)) == ("failed", False)


def test_the_answer_explains_what_was_found_by_segment_and_element() -> None:
    body = SENT.replace("CLP*PCN1*1*100*", "CLP*PCN1*SECRET*SECRET*").replace("SVC*HC:99213*", "SVC*HC*")
    body = body.replace("NM1*QC*1*DOE*JANE****MI*M1~", "")
    found = findings(body.encode())
    taken = Taken(X12Message.read(body.encode()), accepted=False, findings=found)
    lines = x12_answer([taken], Groups({}, {}), control_number=1, at_us=0).decode().split("~")
    begins = lines.index("AK2*835*0001") + 1
    assert lines[begins : lines.index("AK9*R*1*1*0")] == [
        "IK3*CLP*11**8", "IK4*2**5", "IK4*2**7", "IK4*3**6", "IK3*NM1*12**3", "IK3*SVC*12**8", "IK4*1:2**1",
        "IK5*R*5",
    ]  # fmt: skip
    noted = Taken(X12Message.read(body.encode()), accepted=True, findings=(Finding("CLP", 11, "7", 2),))
    lines = x12_answer([noted], Groups({}, {}), control_number=1, at_us=0).decode().split("~")
    assert [each for each in lines if each[:3] in ("IK5", "AK9")] == ["IK5*E*5", "AK9*E*1*1*1"]


@pytest.mark.parametrize(
    ("library", "options", "extra"),
    [("pyx12", X12Options, "[x12]"), ("pydifact", EdifactOptions, "[edifact]")],
)
def test_without_its_extra_the_options_say_what_to_install(
    library: str, options: type[X12Options] | type[EdifactOptions], extra: str
) -> None:
    said = {"guide": {"by": "pyx12"}} if library == "pyx12" else {"strict": True}
    assert options.model_validate(said)
    with patch.dict(sys.modules, {library: None}):
        with pytest.raises(ValidationError, match=re.escape(f"pip install 'interface-bridge{extra}'")):
            options.model_validate(said)
        assert options.model_validate({}), "it is needed for nothing else"


@settings(max_examples=30)
@given(st.integers(0, 1_000_000))
def test_changed_transactions_raise_nothing_else(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(5):
        changed = bytearray(SENT.encode())
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(len(changed))
            match chance.randrange(3):
                case 0:
                    changed[at] = chance.randrange(256)
                case 1:
                    del changed[at : at + chance.randrange(40)]
                case _:
                    changed[at:at] = chance.choice([b"~", b"*", b":", b"^", b"HL*1**20~", b"SE*1~", b"LX*1~"])
        made().objection(bytes(changed), ())
