"""Files that a command makes: none that is there is written over, and where it fails nothing is left."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import click

PRESENT_SHOWN_MAX_COUNT: Final = 3
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


@contextmanager
def new_file(path: Path, hint: str) -> Iterator[BinaryIO]:
    """A file to write to which only its owner may read, or standard output for `-`.

    It is removed again where what is done with it fails, so that the same command can be given once more.
    Raises BadParameter where there is one of this name, or it cannot be made.
    """
    if str(path) == "-":
        yield sys.stdout.buffer
        sys.stdout.flush()
        return
    try:
        handle = os.open(path, _NEW, 0o600)
    except FileExistsError:
        said = f"{path} is there already, and is not written over"
        raise click.BadParameter(said, param_hint=hint) from None
    except OSError as error:
        raise click.BadParameter(f"{path}: {error.strerror}", param_hint=hint) from None
    try:
        with open(handle, "wb") as file:
            yield file
    except BaseException:
        path.unlink(missing_ok=True)
        raise


@contextmanager
def new_files(folder: Path, names: Collection[str], hint: str) -> Iterator[Callable[[str, bytes], None]]:
    """What puts a file of these names into a folder, which is made if need be.

    All that were put are removed again where one cannot be, or its content cannot be had. Raises BadParameter
    where there is one already, or the folder cannot be written to.
    """
    there = [name for name in names if os.path.lexists(folder / name)]
    if there:
        more = len(there) - PRESENT_SHOWN_MAX_COUNT
        shown = ", ".join(there[:PRESENT_SHOWN_MAX_COUNT]) + (f" and {more} more" if more > 0 else "")
        raise click.BadParameter(f"{folder} has {shown} already; nothing was written", param_hint=hint)
    made: list[str] = []

    def put(name: str, content: bytes) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with (folder / name).open("xb") as file:
            made.append(name)
            file.write(content)

    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield put
    except BaseException as error:
        for name in made:
            (folder / name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise click.BadParameter(f"{folder}: {error.strerror}", param_hint=hint) from None
        raise
