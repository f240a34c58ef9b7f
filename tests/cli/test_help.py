"""Help: short, quick, the same everywhere, and with an example that can be typed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from command_line import ESCAPE, bridge, bridge_process

from bridge import __version__
from bridge.cli.main import COMMANDS
from bridge.cli.main import bridge as whole

HEAVY = ("twisted", "sqlalchemy", "pydantic", "rich", "aiohttp", "yaml", "orjson", "bridge.catalog")
MODULES_AFTER = """
import contextlib, io, json, sys
sys.argv = ["bridge", *sys.argv[1:]]
from bridge.cli.main import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main()
print(json.dumps(sorted(sys.modules)))
"""


def _commands(group: click.Group, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from _commands(command, (*path, name))


EVERY = dict(_commands(whole, ()))
LEAVES = {path: command for path, command in EVERY.items() if not isinstance(command, click.Group)}


def _first_paragraph(command: click.Command) -> str:
    return " ".join((command.help or "").split("\n\n")[0].split())


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_each_command_says_of_itself(name: str) -> None:
    assert COMMANDS[name][1] == _first_paragraph(EVERY[(name,)])


@pytest.mark.parametrize("name", COMMANDS)
def test_bridge_help_lists_the_command_with_its_line(name: str) -> None:
    listed = " ".join(bridge("--help").out.split())
    assert f"{name} {COMMANDS[name][1]}" in listed


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_has_help(path: tuple[str, ...], option: str) -> None:
    ended = bridge(*path, option)
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith(f"Usage: bridge {' '.join(path)}")


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_every_command_shows_an_example_on_a_line_of_its_own(path: tuple[str, ...]) -> None:
    text = bridge(*path, "--help").out
    examples = re.findall(rf"^  bridge ({' '.join(path)}(?: .*)?)$", text, re.MULTILINE)
    assert examples
    for example in examples:
        words = re.findall(r"[a-z-]+", example)
        of = next(tuple(words[:size]) for size in (3, 2, 1, 0) if tuple(words[:size]) in EVERY)
        used = set(re.findall(r"--[a-z-]+", example))
        # A group may take what one of its commands takes.
        those = [command for name, command in EVERY.items() if name[: len(of)] == of]
        known = {name for command in those for parameter in command.params for name in parameter.opts}
        assert used <= known, example


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_every_option_says_what_it_is_for(path: tuple[str, ...]) -> None:
    given = [each for each in EVERY[path].params if isinstance(each, click.Option)]
    assert [each.opts for each in given if not each.help] == []


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_the_line_of_usage_breaks_no_word(path: tuple[str, ...]) -> None:
    usage = bridge(*path, "--help").out.partition("\n\n")[0]
    assert not re.search(r"[a-z0-9|]\n +[a-z0-9|]", usage)


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_option_and_line_of_help_fits_a_terminal(path: tuple[str, ...]) -> None:
    assert max(map(len, bridge(*path, "--help").out.splitlines())) <= 80


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_words_that_several_commands_share_mean_the_same(path: tuple[str, ...]) -> None:
    meanings = {
        "--config": "The folder that holds channels/ and mappings/.",
        "--journal": "The journal's database.",
        "--format": "For a person, or for a program.",
    }
    for parameter in LEAVES[path].params:
        for name in parameter.opts:
            if name in meanings:
                assert isinstance(parameter, click.Option)
                assert (parameter.help or "").startswith(meanings[name])


def _modules_after(*arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", MODULES_AFTER, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("chekc",)], ids=" ".join)
def test_what_needs_no_library_loads_none(arguments: tuple[str, ...]) -> None:
    assert _modules_after(*arguments) & set(HEAVY) == set()


def test_a_command_that_needs_libraries_loads_them() -> None:
    assert {"twisted", "sqlalchemy", "pydantic"} <= _modules_after("run", "--config", "nowhere")


def test_the_version_is_the_packages_own() -> None:
    assert bridge("--version").out == f"bridge, version {__version__}\n"


def test_help_in_a_pipe_has_no_escape_codes() -> None:
    assert ESCAPE not in bridge_process("--help").said
