"""A hospital whose channel takes files from a folder."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from nodes import Hospital

from bridge.cli.synthetic import Synthetic, admissions
from bridge.journal.taken_files import TakenFile, file_of_id

QUICK = "stable_for: 0s, poll: 100ms"


def file_source(directory: Path, options: str = QUICK) -> Callable[[str], str]:
    """A change of the site's channel file: it takes files from a folder."""

    def change(text: str) -> str:
        source = f"  file_drop: {{directory: {directory}, {options}}}\n"
        return re.sub(r"  mllp: .*\n", source, text)

    return change


def whole(messages: Iterable[Synthetic]) -> bytes:
    """Messages one after the other, as a batch job writes them."""
    return b"".join(message.body for message in messages)


def some(count: int, *, first: int = 0, prefix: str = "F", steps: int = 1) -> list[Synthetic]:
    """Messages of so many patients."""
    return list(admissions(count, first=first, prefix=prefix, steps=steps))


def drop(folder: Path, name: str, content: bytes) -> Path:
    """Put a file there, whole from the moment at which it has its name."""
    hidden = folder / f".{Path(name).name}.tmp"
    hidden.write_bytes(content)
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    return hidden.rename(target)


@asynccontextmanager
async def file_hospital(folder: Path, options: str = QUICK) -> AsyncIterator[tuple[Hospital, Path]]:
    """A hospital with its node started, and the folder that it takes from."""
    incoming = folder / "incoming"
    incoming.mkdir(exist_ok=True)
    made = Hospital(folder)
    await made.open(file_source(incoming, options))
    try:
        await made.start()
        yield made, incoming
    finally:
        await made.close()


async def file_row(made: Hospital, file_id: int) -> TakenFile | None:
    """A file as the journal has it."""
    assert made.node is not None
    return await made.node.journal.read(file_of_id, file_id)


def left_in(folder: Path) -> list[str]:
    """Every file below a folder, by its path there; claims too."""
    while True:
        try:
            return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
        except FileNotFoundError:
            continue  # a claim was let go meanwhile
