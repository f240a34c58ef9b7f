"""``bridge completion``: a shell completes commands, options, and names of channels, APIs and mappings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

import click
from click.shell_completion import CompletionItem, get_completion_class

from bridge.cli.main import COMPLETES, DONE
from bridge.config.names import is_name

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
SHELLS: Final = ("bash", "zsh", "fish")
NAMES_MAX_COUNT: Final = 500
_SUFFIX: Final = ".yaml"
_ROUTE: Final = re.compile(r"\broute: *[\"']?([A-Za-z0-9._-]+)")
_OPERATIONS: Final = re.compile(r"^operations:[^\n]*\n((?:[ #][^\n]*\n|\n)*)", re.MULTILINE)
_KEY: Final = re.compile(r"^( +)[\"']?([A-Za-z0-9._-]+)[\"']?:", re.MULTILINE)
_FOLDERS: Final = {
    "channel": ("channels",),
    "api": ("channels/apis",),
    "mapping": ("mappings",),
    "environment": ("channels/environments",),
}
_OF_COMMAND: Final = {
    ("pause", "name"): ("channels", "channels/apis"),
    ("resume", "name"): ("channels", "channels/apis"),
    ("status", "channels"): ("channels",),
    **{(command, "target"): ("channels",) for command in ("stage", "show", "import", "accept", "reject")},
}
"""Where else names of files stand, by command and parameter; those of `bridge parity` are its own."""


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
def completion_command(shell: str) -> int:
    """Let a shell complete commands, channels and mappings.

    What is written is for SHELL to read. Names of channels, routes, APIs, operations and mappings are those
    of the files in the current folder; a command that has --config takes those of the folder given with it.
    In zsh `autoload -Uz compinit && compinit` comes before, unless your .zshrc has it.

    \b
    source <(bridge completion bash)
    source <(bridge completion zsh)
    bridge completion fish | source
    """
    from bridge.cli.main import bridge

    found = get_completion_class(shell)
    assert found is not None, "click knows these shells"
    made = found(bridge, {}, "bridge", COMPLETES)
    click.echo(made.source_template % made.source_vars())
    return DONE


def with_names(command: click.Command) -> None:
    """Let the parameters of a command, and of those below it, complete names of the folder's files."""
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            with_names(inner)
    for parameter in command.params:
        name = parameter.name or ""
        if isinstance(parameter.type, click.Path | click.Choice):
            continue
        if (words := _WORDS.get((command.name or "", name), _WORDS.get(("", name)))) is not None:
            parameter._custom_shell_complete = words
            continue
        folders = _OF_COMMAND.get((command.name or "", name), _FOLDERS.get(name))
        if folders is not None:
            parameter._custom_shell_complete = _names_in(folders)


def _names_in(folders: tuple[str, ...]) -> Complete:
    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        root = Path(ctx.params.get("directory") or ".")
        names = [name for folder in folders for name in _stems(root / folder)]
        if "/" in incomplete and folders[0] == "channels":
            names = _routes(root / folders[0], incomplete.partition("/")[0])
        return [CompletionItem(name) for name in names if name.startswith(incomplete)][:NAMES_MAX_COUNT]

    return complete


def _outputs() -> Iterable[str]:
    """The commands that print JSON."""
    from bridge.cli.shapes import SHAPES

    return SHAPES


def _states() -> Iterable[str]:
    from bridge.delivery.state import DeliveryState, MessageState

    return sorted({*MessageState, *DeliveryState})


def _states_of_files() -> Iterable[str]:
    from bridge.delivery.files import FileState

    return sorted(FileState)


def _reasons() -> Iterable[str]:
    """Those for which something waits for a person."""
    from bridge.journal.quarantine import ADVICE

    return sorted(ADVICE)


def _explained() -> Iterable[str]:
    from bridge.catalog import STANDARD
    from bridge.cli.meanings import meanings

    return sorted({each.name for each in meanings(STANDARD) if " " not in each.name})


def _stages() -> Iterable[str]:
    from bridge.delivery.stages import STAGES

    return (*STAGES, "back")


def _operations(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Those of the API that was named before."""
    block = _OPERATIONS.search(_text(Path(_FOLDERS["api"][0]), str(ctx.params.get("api"))))
    keys = _KEY.findall(block[1]) if block else []
    outer = min((indent for indent, _ in keys), default="")
    return [CompletionItem(key) for indent, key in keys if indent == outer and key.startswith(incomplete)]


def _of(words: Callable[[], Iterable[str]]) -> Complete:
    def complete(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(each) for each in words() if each.startswith(incomplete)][:NAMES_MAX_COUNT]

    return complete


_WORDS: Final[Mapping[tuple[str, str], Complete]] = {
    ("schema", "command"): _of(_outputs),
    ("messages", "state"): _of(_states),
    ("list", "state"): _of(_states_of_files),
    ("", "problem"): _of(_reasons),
    ("explain", "name"): _of(_explained),
    ("stage", "stage"): _of(_stages),
    ("", "operation"): _operations,
}
"""What is no file's name, by command and parameter."""


def _routes(folder: Path, channel: str) -> list[str]:
    """The routes of a channel, as `bridge pause` takes them; none where its file cannot be read."""
    return sorted({f"{channel}/{route}" for route in _ROUTE.findall(_text(folder, channel))})


def _text(folder: Path, name: str) -> str:
    """A file of a folder by its name; empty where it cannot be read."""
    if not is_name(name):
        return ""
    try:
        return (folder / f"{name}{_SUFFIX}").read_text("utf-8")
    except (OSError, ValueError):
        return ""


def _stems(folder: Path) -> Iterable[str]:
    """The names of files, which are those of what is in them; none where the folder cannot be read."""
    try:
        return sorted(path.stem for path in folder.iterdir() if path.suffix == _SUFFIX)
    except OSError:
        return ()
