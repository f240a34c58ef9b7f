"""`bridge files check`: what a file holds and what is wrong with it, by place and code, without a journal."""

from __future__ import annotations

import io
import json
import zipfile
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


def site(folder: Path, form: str, options: str = "", more: str = "") -> None:
    """A channel that takes files of this format, and sends on what came."""
    api = folder / "channels" / "apis" / "out.yaml"
    api.parent.mkdir(parents=True)
    api.write_text(
        'api: out\nfile: {directory: /var/spool/out, name: "{channel}-{delivery}"}\nsend: original\n'
        "carries: {phi: true}\nrepeat_safety: natural_key\n"
    )
    (folder / "channels" / "it.yaml").write_text(
        f"channel: it\nsource: {{file_drop: {{directory: /var/spool/in, {options}}}}}\nformat: {form}\n"
        f"on_no_key: serial\nroutes:\n  - {{route: on, to: {{api: out}}}}\n{more}"
    )


def zipped(*contents: bytes) -> bytes:
    """An archive of files."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for number, content in enumerate(contents):
            archive.writestr(f"{number}.txt", content)
    return made.getvalue()


ORU = b"MSH|^~\\&|A|B|C|D|20240101||ORU^R01|1|P|2.5\r"
ROWS, LINES, XML = "delimited", "{json: {records: lines}}", "{xml: {record: Order}}"
UNZIPPED = "decode: [{zip: {}}]"
REFUSED: dict[str, tuple[str, str, bytes, str]] = {
    "a row with a column too much": (ROWS, "", b"a,b\n1,2\n1,2,SECRET\n", "ragged-row"),
    "an empty file": (ROWS, "", b"", "empty"),
    "lines of no JSON": (LINES, "", b'{"a":1}\nSECRET\n', "no-json"),
    "JSON in UTF-16": (LINES, "", '{"a":"SECRET"}\n'.encode("utf-16"), "no-json"),
    "JSON that is cut off": (LINES, "", b'{"a":"SECRET', "no-json"),
    "NULs": (LINES, "", b'{"a": \0SECRET}\n', "no-json"),
    "XML that is no UTF-8": (XML, "", b"<Os><Order><a>\xff</a></Order></Os>", "not-well-formed"),
    "a packed row with a column too much": (ROWS, UNZIPPED, zipped(b"a,b\n1,2,SECRET\n"), "ragged-row"),
    "an archive of nothing": (ROWS, UNZIPPED, zipped(), "empty"),
    "what is no archive": (ROWS, UNZIPPED, b"a,b\n1,2\n", "archive-damaged"),
    "more than is taken": (ROWS, "max_size: 4B", b"a,b\n1,2\n", "too-large"),
    "a type that is not taken": (
        "hl7v2",
        "",
        b"MSH|^~\\&|A|B|C|D|20240101||ORU^R01|1|P|2.5\r",
        "type-not-accepted",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_its_channel_would_not_take_is_told_with_its_reason(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form, options, content, reason = REFUSED[name]
    site(tmp_path, form, options, "accept: [ADT^A01]\n" if form == "hl7v2" else "")
    (tmp_path / "a.dat").write_bytes(content)
    monkeypatch.chdir(tmp_path)
    said = bridge("files", "check", "a.dat", "--channel", "it", "--format", "json")
    assert said.status == 1, said.out + said.err
    [found] = json.loads(said.out)
    assert reason in [*(each["code"] for each in found["findings"]), (found["failed"] or {}).get("reason")]
    assert ("SECRET" in said.out, found["ok"]) == (False, False)


@pytest.mark.parametrize("content", [zipped(b"a,b\n1,2\n", b"a,b\n3,4\n"), zipped(b"a,b\n1,2\n3,4\n", b"")])
def test_a_packed_file_is_unpacked_as_its_channel_does(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site(tmp_path, ROWS, UNZIPPED)
    (tmp_path / "a.zip").write_bytes(content)
    monkeypatch.chdir(tmp_path)
    said = bridge("files", "check", "a.zip", "--channel", "it")
    assert (said.status, said.out) == (0, "a.zip: 2 messages\n")
