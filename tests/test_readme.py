"""What the README files show is run, and what they name is there."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial, reduce
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import orjson
import pytest

from bridge.cli.main import bridge
from bridge.config.settings import VARIABLES
from bridge.observe.metrics import Metrics

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
ARCHITECTURE = ROOT / "bridge" / "ARCHITECTURE.md"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("*/README.md")), ARCHITECTURE]

PORTS = {"2576": "channel", "8081": "API", "8585": "admin"}
"""The ports that the walk-through names; tests put free ones in their place."""
WAIT_MAX_S = 180.0
SITE = "my-site"

_BLOCK = re.compile(
    r"(?:<!-- (?P<mark>[^\n]*) -->\n|`(?P<file>[^`\n]+)`\n\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_CHANGING = (
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d\.\d{3})?Z"), "WHEN"),
    (re.compile(r"\b20\d{6}\b"), "DAY"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "TRACE"),
    (re.compile(r"\d+\.\d+ s\b"), "SECONDS"),
)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: the comment before it, or the file that it is, and its text."""

    mark: str
    file: str
    language: str
    text: str


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    return [
        Block(found["mark"] or "", found["file"] or "", found["language"], found["text"])
        for found in _BLOCK.finditer(text)
    ]


def with_free_ports(text: str) -> str:
    """The page with free ports in place of those that it names."""
    with ExitStack() as held:
        free: dict[str, str] = {}
        for port in PORTS:
            probe = held.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            free[port] = str(probe.getsockname()[1])
    return re.sub(rf"\b({'|'.join(PORTS)})\b", lambda found: free[found[1]], text)


def said(text: str) -> list[str]:
    """The lines of an output, without layout and without what changes from run to run."""
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip(" ─")]
    return [reduce(lambda line, each: each[0].sub(each[1], line), _CHANGING, line) for line in lines]


def environment(page: str) -> dict[str, str]:
    """That of a newcomer, with the commands of this Python first in the path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")}
    port = re.search(r"^admin: listening on port (\d+)$", page, re.MULTILINE)
    assert port is not None
    return kept | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "BRIDGE_ADMIN_PORT": port[1],
    }


def write_files(page: str, folder: Path) -> None:
    """The files of the walk-through, as a newcomer writes them."""
    for block in blocks(page):
        if block.file:
            path = folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)


def run(command: str, folder: Path, page: str) -> str:
    """What a command of the page says, standard output first."""
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env=environment(page),
        capture_output=True,
        text=True,
        timeout=WAIT_MAX_S,
        check=False,
    )
    return done.stdout + done.stderr


def run_and_read(command: str, folder: Path, page: str) -> list[str]:
    """The lines that a command of the page says."""
    return said(run(command, folder, page))


def until(look: Callable[[], Any], wanted: Any) -> Any:
    """Look until it is as wanted; the last that was seen."""
    give_up_s = time.monotonic() + WAIT_MAX_S
    while (seen := look()) != wanted and time.monotonic() < give_up_s:
        time.sleep(0.02)
    return seen


@contextmanager
def started(command: str, folder: Path, page: str) -> Iterator[Path]:
    """A command of the page that goes on running; the file with all that it says."""
    words = shlex.split(command)
    output = folder / f"{words[0]}-{len(list(folder.glob('*.said')))}.said"
    with output.open("wb") as file:
        process = subprocess.Popen(
            words, cwd=folder, env=environment(page), stdout=file, stderr=subprocess.STDOUT
        )
        try:
            yield output
        finally:
            process.terminate()
            try:
                process.wait(WAIT_MAX_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.mark.live
def test_the_walk_through_does_what_it_shows(tmp_path: Path) -> None:
    page = with_free_ports(README.read_text("utf-8"))
    write_files(page, tmp_path)
    shown = blocks(page)
    with ExitStack() as running:
        for block, following in pairwise(shown):
            command, answer = block.text.strip(), said(following.text) if following.language == "text" else []
            if block.mark == "start":
                output = running.enter_context(started(command, tmp_path, page))
                assert until(partial(has_begun, output), True), output.read_text()
                assert set(answer) <= set(said(output.read_text()))
            elif block.mark == "run":
                assert until(partial(run_and_read, command, tmp_path, page), answer) == answer, command
            elif block.mark == "applied":
                assert until(lambda: len(calls(tmp_path)), 1) == 1, "the API is called once"
                (call,) = calls(tmp_path)
                (body,) = [json.loads(each.text) for each in shown if each.language == "json"]
                digest = hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()
                assert call["body_sha256"] == digest, "the API got another body than the page shows"
                assert re.fullmatch(r"[0-9a-f]{8}-1-1", call["idempotency_key"])
                assert json.loads(block.text) == call | {
                    "idempotency_key": json.loads(block.text)["idempotency_key"]
                }
        counts = json.loads(run("bridge status --format json", tmp_path, page))
    (channel,) = counts["channels"].values()
    assert counts["balanced"]
    assert channel.pop("received") == sum(channel.values()) == 2
    assert (channel["delivered"], channel["duplicate"], channel["open"]) == (1, 1, 0)


def has_begun(output: Path) -> bool:
    """Whether a process says that it is ready: the bridge so, the stand-in by its address."""
    return bool(re.search(r"^(ready$|http://)", output.read_text(), re.MULTILINE))


def calls(folder: Path) -> list[dict[str, Any]]:
    """The calls that the stand-in API applied."""
    log = folder / "calls.jsonl"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def test_a_mistake_is_shown_as_the_page_shows_it(tmp_path: Path) -> None:
    page = with_free_ports(README.read_text("utf-8"))
    write_files(page, tmp_path)
    (block,) = [each for each in blocks(page) if each.mark.startswith("output: bridge check")]
    right, wrong = re.findall("`(.*?)`", block.mark)
    (mapping,) = (tmp_path / SITE / "mappings").iterdir()
    assert right in mapping.read_text()
    mapping.write_text(mapping.read_text().replace(right, wrong))
    assert run_and_read(f"bridge check --config {SITE}", tmp_path, page) == said(block.text)


@pytest.mark.live
@pytest.mark.parametrize("command", ["bridge demo", "bridge demo --chapter batches"])
def test_the_demonstration_says_what_the_page_shows(tmp_path: Path, command: str) -> None:
    page = README.read_text("utf-8")
    (block,) = [each for each in blocks(page) if each.mark == f"output: {command}"]
    lines = run_and_read(command, tmp_path, page)
    missing = [line for line in said(block.text) if not any(line in each for each in lines)]
    assert missing == []


def test_the_table_beside_says_what_the_files_say() -> None:
    page = README.read_text("utf-8")
    shown = blocks(page)
    (mapping,) = [each.text for each in shown if each.file.startswith(f"{SITE}/mappings/")]
    (body,) = [json.loads(each.text) for each in shown if each.language == "json"]
    (api,) = [each.text for each in shown if each.file.startswith(f"{SITE}/channels/apis/")]
    table = page.partition("| the message | the rule | the call |")[2].partition("\n\n")[0]
    rows = [re.split(r"(?<!\\)\|", line.replace("`", ""))[1:4] for line in table.splitlines()[2:]]
    assert len(rows) == 6
    for _, rule, call in rows:
        assert rule.strip().replace("\\|", "|") in mapping
        if call.strip().startswith('"'):
            assert json.loads(f"{{{call}}}").items() <= body.items()
        else:
            assert rule.partition(":")[0].strip() not in api


def test_the_page_of_mappings_leads_from_samples_to_a_tested_mapping(tmp_path: Path) -> None:
    """Each command of the walk does what it says, with the edits that it shows."""
    page = (ROOT / "mappings" / "README.md").read_text("utf-8")
    section = page.partition("## From a sample message to a tested mapping\n")[2].partition("\n## ")[0]
    shown = blocks(section)
    assert [each.mark for each in shown if each.mark] == ["edit", "edit", "append"]
    before, after = [each.text for each in shown if each.mark == "edit"]
    folder, mapping = tmp_path, tmp_path / "my-feeds" / "mappings" / "visits.yaml"
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    ran = 0
    for block in shown:
        if block.mark == "edit" and block.text == before:
            assert before in mapping.read_text()
            mapping.write_text(mapping.read_text().replace(before, after))
        elif block.mark == "append":
            mapping.write_text(mapping.read_text() + block.text)
        for command in block.text.splitlines() if block.language == "sh" else ():
            done = subprocess.run(
                ["sh", "-c", command],
                cwd=folder,
                env=env,
                capture_output=True,
                timeout=WAIT_MAX_S,
                check=False,
            )
            assert done.returncode == 0, (command, done.stdout, done.stderr)
            folder = tmp_path / "my-feeds"
            ran += 1
    assert ran == 11
    assert "NORTH:CLINIC2" in mapping.read_text()
    assert "AIL-3.1" in (tmp_path / "my-feeds" / "visits.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_a_page_shows_exists_with_its_options(page: Path) -> None:
    wrong = [line for line in command_lines(page.read_text("utf-8")) if not exists(line)]
    assert wrong == []


def test_a_command_that_does_not_exist_is_noticed() -> None:
    assert command_lines("see `bridge map try A B` and `bridge.cli`") == ["map try A B"]
    assert [line for line in ("stat", "map fly", "run --journl x", "check --config d") if exists(line)] == [
        "check --config d"
    ]


def command_lines(text: str) -> list[str]:
    """What stands behind the word ``bridge``, in blocks and between backticks."""
    code = [each.text for each in blocks(text) if each.language == "sh"]
    code += re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))
    return [
        found[1].strip()
        for each in code
        for line in each.splitlines()
        if (found := re.match(r"(?:\$ )?(?:\S*/bin/)?bridge ([a-z-].*)", line))
    ]


def exists(line: str) -> bool:
    """Whether the command line names a command, and only options that it has."""
    words = shlex.split(line.partition(" #")[0])
    command: click.Command = bridge
    while words and isinstance(command, click.Group) and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words.pop(0))
        if found is None:
            return False
        command = found
    known = {option for each in command.params for option in each.opts} | {"--help", "-h"}
    return {word.partition("=")[0] for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text("utf-8")
    own = {block.file for block in blocks(text)} | {f"{SITE}/"}
    links = {link.partition("#")[0] for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text)} - {""}
    missing = sorted(link for link in links if not (page.parent / link).exists())
    missing += sorted(name for name in file_names(text) - own if not is_there(name, page.parent))
    assert missing == []


def test_a_file_that_is_not_there_is_noticed() -> None:
    assert file_names("`runtime/intake.py`, `bridge/`, `a/b`, `NAME/x.py`") == {
        "runtime/intake.py",
        "bridge/",
    }
    assert is_there("runtime/intake.py", ROOT / "bridge")
    assert not is_there("runtime/outtake.py", ROOT / "bridge")


def file_names(text: str) -> set[str]:
    """What between backticks can only be a file or a folder of this project."""
    names = re.findall(
        r"`((?:[\w.*-]+/)*[\w.*-]+\.(?:py|ya?ml|md|sh|service|toml|hl7|lock)|(?:[\w-]+/)+)`", text
    )
    return {name for name in names if not re.search(r"[A-Z]{4}(?![a-zA-Z]*\.md)", name)}


def is_there(name: str, folder: Path) -> bool:
    """Whether a name, maybe with ``*``, is there below the page's folder or the project's."""
    return any(next(iter(base.glob(name.rstrip("/"))), None) is not None for base in (folder, ROOT))


def test_every_name_of_code_in_the_architecture_is_there() -> None:
    named = re.findall(r"`([A-Za-z_][\w.]*)` \(`([\w/]+)\.py`\)", ARCHITECTURE.read_text("utf-8"))
    assert len(named) > 20
    missing = []
    for name, file in named:
        module: Any = importlib.import_module("bridge." + file.replace("/", "."))
        try:
            reduce(getattr, name.split("."), module)
        except AttributeError:
            missing.append(f"{name} in {file}.py")
    assert missing == []


def test_the_settings_and_metrics_of_the_page_are_those_of_the_code() -> None:
    text = README.read_text("utf-8")
    assert set(re.findall(r"`(BRIDGE_\w+)`", text)) == set(VARIABLES)
    known = {
        name.removesuffix("_total") + ("_total" if family.type == "counter" else "")
        for family in Metrics().registry.collect()
        for name in [family.name]
    }
    assert set(re.findall(r"`(bridge_\w+)`", text)) == known
