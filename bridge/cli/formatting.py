"""``bridge map fmt``: mapping files in one form."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

import click

from bridge.cli import output as out
from bridge.cli.author import files_in, read_file
from bridge.cli.main import ANSWER_IS_NO, DONE
from bridge.config.yaml_format import formatted

_SUFFIXES = (".yaml", ".yml")


def format_files(paths: tuple[Path, ...], *, write: bool, differing: bool) -> int:
    """Format files, or say which would change. Exit status 1 where one would, or cannot be formatted."""
    changed, failed = 0, False
    files = [path for path in files_in(paths) if path.suffix in _SUFFIXES or path in paths]
    for path in files:
        try:
            text = read_file(path).decode("utf-8")
        except UnicodeDecodeError:
            raise click.BadParameter(f"{path}: it is no UTF-8", param_hint="FILES") from None
        made, problems = formatted(text.removeprefix("\ufeff"), str(path))
        if made is None:
            failed = True
            for problem in problems:
                click.echo(out.problem(problem), err=True)
            continue
        if made == text:
            continue
        changed += 1
        if differing:
            lines = difflib.unified_diff(
                text.splitlines(), made.splitlines(), str(path), f"{path}, formatted", lineterm=""
            )
            click.echo("\n".join(lines))
        else:
            click.echo(str(path))
        if write:
            _write(path, made)
    word = "changed" if write else "would change"
    click.echo(f"{out.count(len(files), 'file')}, {changed} {word}", err=True)
    return ANSWER_IS_NO if failed or (changed and not write) else DONE


def _write(path: Path, text: str) -> None:
    """Replace a file as a whole: it is never half written."""
    beside = path.with_name(f".{path.name}.formatting")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.chmod(path.stat().st_mode & 0o7777)
        os.replace(beside, path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise click.BadParameter(f"{path}: {error.strerror}", param_hint="FILES") from None
