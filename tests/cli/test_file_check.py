"""`bridge files check`: what a file holds and what is wrong with it, by place and code, without a journal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from code_reading import ROOT
from command_line import bridge

EDIFACT = ROOT / "legacy_fixtures" / "edifact" / "invoic.edi"
X12 = (
    "ISA*00*          *00*          *ZZ*PAYER          *ZZ*PROV           *240105*0800*^*00501*000000001*0*P"
    "*:~GS*HP*PAYER*PROV*20240105*0800*1*X*{guide}~ST*835*0001~BPR*I*1*C*SECRET*CCP~TRN*1*7*1512345678~"
    "LX*1~CLP*1*1*1*1**12*1~SE*6*0001~GE*1*1~IEA*1*000000001~"
)
CASES: dict[str, tuple[bytes, int, list[str]]] = {
    "what is as it says": (EDIFACT.read_bytes(), 0, ["a.dat: 2 messages, 1 batch\n"]),
    "a cent too much": (
        EDIFACT.read_bytes().replace(b"MOA+79:335.00", b"MOA+79:335.01"),
        1,
        ["not as it should be", "message 1: 335.01 amount declared and 335.00 found, MOA-01.2 at byte"],
    ),
    "a total that is no number": (
        EDIFACT.read_bytes().replace(b"MOA+79:335.00", b"MOA+79:lots"),
        1,
        ["what it declares of amount is no number, MOA-01.2 at byte"],
    ),
    "what a strict channel holds back": (
        EDIFACT.read_bytes().replace(b"INV-77", b"INV\x0777"),
        1,
        ["message 1 at byte 75: BGM-02: characters that UNOC does not have (not-in-repertoire)"],
    ),
    "no trailer": (EDIFACT.read_bytes().rpartition(b"UNZ")[0], 1, ["interchange 880002: it has no trailer"]),
    "cut short": (EDIFACT.read_bytes()[:300], 1, ["byte 75: A message ends without UNT. (no-unt)"]),
    "what its guide does not allow": (
        X12.format(guide="005010X221A1").encode(),
        1,
        [
            "message 1 at byte 154: BPR-04, segment 2: it is no code that is allowed (guide)",
            "N1, segment 4: a segment that must be there is missing (guide)",
        ],
    ),
    "without a guide": (
        X12.format(guide="005010X999").encode(),
        0,
        ["pyx12 has no guide for this implementation (guide-unchecked); it would be taken all the same"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_file_is_looked_through_and_no_value_shown(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, status, lines = CASES[name]
    (tmp_path / "a.dat").write_bytes(content)
    monkeypatch.chdir(tmp_path)
    said = bridge("files", "check", "a.dat")
    assert said.status == status
    assert [line for line in lines if line not in said.out] == []
    assert "SECRET" not in said.out + said.err
    [found] = json.loads(bridge("files", "check", "a.dat", "--format", "json").out)
    assert (found["ok"], "SECRET" in json.dumps(found)) == (status == 0, False)


def test_what_is_not_known_by_its_beginning_is_read_as_a_channel_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    monkeypatch.chdir(tmp_path)
    said = bridge("files", "check", "a.csv")
    assert (said.status, "say with --channel how it is read" in said.err) == (2, True)
    assert bridge("files", "check", "a.csv", "--channel", "nowhere").status == 3, "no folder of channels"
