"""`bridge migrate`: what a person sees, what a program reads, and what lies in the folder afterwards."""

from __future__ import annotations

import json
import re
from pathlib import Path
from zipfile import ZipFile

import pytest
from code_reading import ROOT
from command_line import ESCAPE, bridge

MIRTH = ROOT / "legacy_fixtures" / "mirth"
RUNS, BY_HAND, SERVER = MIRTH / "v4.5_runs.xml", MIRTH / "v4.5_by_hand.xml", MIRTH / "v3.12_server.xml"
WORDS = ("converted", "approximated", "manual", "dropped")


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_report_counts_every_element_once() -> None:
    ended = bridge("migrate", "assess", MIRTH, "--format", "json")
    report = json.loads(ended.out)
    assert ended.status == 0
    assert report["channels"] == len(report["inventory"]) == 13
    assert report["elements"] == sum(report[word] for word in WORDS) == len(report["details"])
    for word in WORDS:
        assert report[word] == sum(each["outcome"] == word for each in report["details"]) > 0
    for each in report["details"]:
        assert each["channel"]
        assert each["xpath"].startswith("/")
        assert each["kind"]
        assert each["reason"] or each["outcome"] == "converted"


def test_the_report_says_what_hangs_together_and_what_is_dead_or_double() -> None:
    report = json.loads(bridge("migrate", "assess", SERVER, "--format", "json").out)
    found = {each["channel"]: each for each in report["inventory"]}
    assert found["Router"]["writes_to"] == [
        "Admissions", "31111111-0000-4000-8000-000000000009 (not in the export)",
    ]  # fmt: skip
    assert found["Admissions"]["calls"] == ["Sites: siteOf"]
    assert found["Admissions (copy)"]["double_of"] == "Admissions"
    assert found["Admissions (copy)"]["dead"] == "it was not started"
    assert found["Router"]["wave"] == found["Admissions"]["wave"]
    assert [(each["port"], each["channel"]) for each in report["ports"] if each["direction"] == "in"] == [
        ("6663", "Router")
    ]
    assert report["groups"] == [
        {"name": "Admissions", "channels": [f"31111111-0000-4000-8000-00000000000{n}" for n in (1, 2)]}
    ]


@pytest.mark.parametrize("arguments", [(), ("--all",), ("--format", "json")])
def test_no_secret_is_ever_shown(arguments: tuple[str, ...], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    ended = bridge("migrate", "assess", MIRTH, "--html", page, *arguments)
    assert "invented-secret" not in ended.said + page.read_text()
    bridge("migrate", "import", MIRTH, "--to", tmp_path / "site")
    assert [path for path, data in _tree(tmp_path / "site").items() if b"invented-secret" in data] == []
    assert ESCAPE not in ended.said


def test_the_page_of_an_assessment_breaks_no_word_and_moves_its_tables_sideways(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert bridge("migrate", "assess", MIRTH, "--html", page).status == 0
    text = page.read_text()
    assert text.count("<div class=t><table>") == text.count("<table>") > 3
    style = text.partition("<style>")[2].partition("</style>")[0]
    assert ".t{overflow-x:auto}" in style
    broken = [rule for rule in style.split("}") if "anywhere" in rule]
    assert [rule.partition("{")[0].strip() for rule in broken] == ["td code"], "paths alone may break"


def test_a_person_sees_what_is_left_to_do() -> None:
    ended = bridge("migrate", "assess", BY_HAND)
    assert ended.status == 0
    for word in (
        "To be done by hand",
        "an XSLT step",
        "6662",
        "Connectors without a counterpart",
        "Secrets in the",
    ):
        assert word in ended.out
    assert "1 channel, 20 elements: " in ended.err


def test_the_page_is_static_and_escapes_what_it_shows(tmp_path: Path) -> None:
    export = tmp_path / "x.xml"
    export.write_text(RUNS.read_text().replace("ADT from NORTH", "&lt;script&gt;alert(1)&lt;/script&gt;"))
    page = tmp_path / "page.html"
    assert bridge("migrate", "assess", export, "--html", page).status == 0
    text = page.read_text()
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "http:" not in text.replace("http://www.w3.org", "")


def test_what_is_imported_passes_the_check_and_a_second_import_changes_no_byte(tmp_path: Path) -> None:
    site = tmp_path / "site"
    assert bridge("migrate", "import", MIRTH, "--to", site).status == 0
    assert bridge("check", "--config", site).status == 0
    before = _tree(site)
    again = bridge("migrate", "import", MIRTH, "--to", site)
    assert (again.status, again.out) == (0, "")
    assert _tree(site) == before
    report = json.loads((site / "migration" / "report.json").read_text())
    assert report["elements"] == len(report["details"])


def test_a_newer_export_changes_what_changed_and_keeps_what_was_edited(tmp_path: Path) -> None:
    export, site = tmp_path / "x.xml", tmp_path / "site"
    export.write_text(RUNS.read_text())
    bridge("migrate", "import", export, "--to", site)
    mapping = site / "mappings" / "adt-from-north.yaml"
    mapping.write_text(
        mapping.read_text().replace("owner: to-be-named", "owner: integration@hospital.example")
    )
    export.write_text(RUNS.read_text().replace("return 'HUB'", "return 'ELSEWHERE'"))
    ended = bridge("migrate", "import", export, "--to", site)
    assert ended.status == 0
    assert "merged    mappings/adt-from-north.yaml" in ended.out
    text = mapping.read_text()
    assert "owner: integration@hospital.example" in text
    assert "'ELSEWHERE'" in text
    assert bridge("check", "--config", site).status == 0


def test_a_conflict_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    export, site = tmp_path / "x.xml", tmp_path / "site"
    export.write_text(RUNS.read_text())
    bridge("migrate", "import", export, "--to", site)
    mapping = site / "mappings" / "adt-from-north.yaml"
    mapping.write_text(mapping.read_text().replace("'HUB'", "'MINE'"))
    export.write_text(RUNS.read_text().replace("return 'HUB'", "return 'THEIRS'"))
    ended = bridge("migrate", "import", export, "--to", site)
    assert ended.status == 1
    assert "CONFLICT" in ended.out
    assert "'MINE'" in mapping.read_text()
    assert "'THEIRS'" in (site / "migration" / "conflicts" / "mappings" / "adt-from-north.yaml").read_text()


WRONG = {
    "no such file": (("nowhere.xml",), 2, "there is no such file"),
    "a folder without exports": (("empty",), 2, "no *.xml in it"),
    "a broken file": (("broken.xml",), 1, "not used: broken.xml: line 1"),
    "no export": (("page.xml",), 1, "this is no channel"),
    "no channel": (("list.xml",), 1, "there is no channel in it"),
    "an archive": (("export.zip",), 1, "unpack it"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("command", ["assess", "import"])
def test_what_is_wrong_is_said_without_a_traceback(name: str, command: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.xml").write_text("<channel><name>")
    (tmp_path / "page.xml").write_text("<html/>")
    (tmp_path / "list.xml").write_text("<list/>")
    with ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.write(RUNS)
    paths, status, text = WRONG[name]
    more = ("--to", tmp_path / "site") if command == "import" else ()
    ended = bridge("migrate", command, *(tmp_path / path for path in paths), *more)
    assert ended.status == status
    assert text in ended.err
    assert "Traceback" not in ended.said


def test_where_nothing_runs_yet_the_next_step_is_no_check_that_would_find_nothing(tmp_path: Path) -> None:
    ended = bridge("migrate", "import", BY_HAND, "--to", tmp_path / "site")
    assert ended.status == 0, ended.said
    assert "ready to be tried" not in ended.err
    assert "none of it runs yet; next: finish a channel in" in ended.err
    assert "next: bridge check" not in ended.err


def test_channels_that_did_not_run_are_told_as_held_back(tmp_path: Path) -> None:
    ended = bridge("migrate", "import", SERVER, "--to", tmp_path / "site")
    assert "held back, in unfinished/channels/, as they did not run: admissions-copy" in ended.err
    assert (tmp_path / "site" / "unfinished" / "channels" / "admissions-copy.yaml").is_file()
    assert not (tmp_path / "site" / "channels" / "admissions-copy.yaml").exists()


def test_what_a_fresh_import_wrote_is_not_called_unused(tmp_path: Path) -> None:
    site = tmp_path / "site"
    assert bridge("migrate", "import", MIRTH, "--to", site).status == 0
    checked = json.loads(bridge("check", "--config", site, "--format", "json").out)
    assert [each["text"] for each in checked["problems"] if each["code"] == "C141"] == []
    assert not (site / "mappings" / "router.yaml").exists(), "it would only be a copy, which no route uses"


def test_only_where_something_is_left_to_a_person_it_is_said_where(tmp_path: Path) -> None:
    ready = bridge("migrate", "import", RUNS, "--to", tmp_path / "ready")
    assert "about 3.0 points of work left, 1.0 of them to compare and to cut over" in ready.err
    assert "TODO" not in ready.err
    assert b"# TODO" not in b"".join(_tree(tmp_path / "ready").values())
    some = bridge("migrate", "import", SERVER, "--to", tmp_path / "some")
    assert (
        "to be done by hand, marked TODO: channels/router.yaml, unfinished/channels/admissions-copy.yaml\n"
        in some.err
    )
    given = bridge("migrate", "import", BY_HAND, "--to", tmp_path / "given")
    assert (
        "to be given in channels/environments/imported.yaml: by-hand-partner-host-key; `environment:` there "
        "names where it runs" in given.err
    )


def test_a_channel_that_sends_nothing_is_no_unfinished_one(tmp_path: Path) -> None:
    text = RUNS.read_text()
    destination = re.compile("<destinationConnectors>.*?</destinationConnectors>", re.DOTALL)
    (tmp_path / "quiet.xml").write_text(destination.sub("<destinationConnectors/>", text))
    ended = bridge("migrate", "import", tmp_path / "quiet.xml", "--to", tmp_path / "site")
    assert ended.status == 0, ended.said
    (file,) = (tmp_path / "site" / "unfinished" / "channels").glob("*.yaml")
    words = " ".join(line.removeprefix("#").strip() for line in file.read_text().splitlines())
    assert "sends nothing anywhere" in words
    assert "TODO" not in words


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "site").write_text("mine")
    ended = bridge("migrate", "import", RUNS, "--to", tmp_path / "site")
    assert ended.status == 2
    assert (tmp_path / "site").read_text() == "mine"


def test_links_and_hidden_folders_of_a_tree_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "tree" / ".git").mkdir(parents=True)
    (tmp_path / "tree" / ".git" / "x.xml").write_text(RUNS.read_text())
    (tmp_path / "tree" / "link.xml").symlink_to(RUNS)
    (tmp_path / "tree" / "real.xml").write_text(SERVER.read_text())
    report = json.loads(bridge("migrate", "assess", tmp_path / "tree", "--format", "json").out)
    assert {each["file"] for each in report["inventory"]} == {"real.xml"}
