"""``bridge completion``: a shell completes commands, options, and names of channels, APIs and mappings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import click
from click.shell_completion import CompletionItem, get_completion_class

from bridge.cli.main import COMPLETES, DONE

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
SHELLS: Final = ("bash", "zsh", "fish")
NAMES_MAX_COUNT: Final = 500
_SUFFIX: Final = ".yaml"
_FOLDERS: Final = {
    "channel": ("channels",),
    "api": ("channels/apis",),
    "mapping": ("mappings",),
    "environment": ("channels/environments",),
}
_OF_COMMAND: Final = {
    ("pause", "name"): ("channels", "channels/apis"),
    ("resume", "name"): ("channels", "channels/apis"),
}


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
def completion_command(shell: str) -> int:
    """Let a shell complete commands, channels and mappings.

    What is written is for SHELL to read. Names of channels, APIs and mappings are those of the folder given
    with --config, or of the current one.

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
        if (command.name, name) == ("schema", "command"):
            parameter._custom_shell_complete = _outputs
            continue
        folders = _OF_COMMAND.get((command.name or "", name), _FOLDERS.get(name))
        if folders is not None:
            parameter._custom_shell_complete = _names_in(folders)


def _names_in(folders: tuple[str, ...]) -> Complete:
    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        root = Path(ctx.params.get("directory") or ".")
        names = [name for folder in folders for name in _stems(root / folder)]
        return [CompletionItem(name) for name in names if name.startswith(incomplete)][:NAMES_MAX_COUNT]

    return complete


def _outputs(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The commands that print JSON."""
    from bridge.cli.shapes import SHAPES

    return [CompletionItem(name) for name in SHAPES if name.startswith(incomplete)]


def _stems(folder: Path) -> Iterable[str]:
    """The names of files, which are those of what is in them; none where the folder cannot be read."""
    try:
        return sorted(path.stem for path in folder.iterdir() if path.suffix == _SUFFIX)
    except OSError:
        return ()
