"""A folder with whose files a bridge has no more rights than a user of its own, though tests run as root."""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NOBODY = 65534


@contextmanager
def nobody() -> Iterator[None]:
    """What this thread does with files until then, it does as a user without rights."""
    libc = ctypes.CDLL(None)
    if os.geteuid() == 0:
        libc.setfsuid(NOBODY)
    try:
        yield
    finally:
        libc.setfsuid(os.geteuid())


@contextmanager
def folder_of_nobody() -> Iterator[Path]:
    """A folder of that user's, to which the way is open."""
    made = Path(tempfile.mkdtemp(prefix="bridge-nobody-"))
    try:
        if os.geteuid() == 0:
            os.chown(made, NOBODY, -1)
        yield made
    finally:
        for below, folders, _ in os.walk(made):
            for each in folders:
                Path(below, each).chmod(0o700)
        shutil.rmtree(made)


def without_rights(monkeypatch: pytest.MonkeyPatch, kind: type, name: str) -> None:
    """Let a context manager of a class be entered as that user."""
    before = getattr(kind, name)

    @contextmanager
    def entered(*arguments: Any, **more: Any) -> Iterator[Any]:
        with nobody(), before(*arguments, **more) as made:
            yield made

    monkeypatch.setattr(kind, name, entered)
