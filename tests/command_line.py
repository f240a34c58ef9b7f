"""How tests run `bridge`: within the test where they can, as a process where a reactor would start.

What a command prints as JSON is held against its published schema, in whatever test it is run.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest.mock import patch

from forked import Forking
from shapes_held import holds_if_json

from bridge.cli.main import ANSWER_IS_NO, DONE, main

FINISHED = (DONE, ANSWER_IS_NO)
ESCAPE = "\x1b"
ENDS_WITHIN_S = 120.0


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command said, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err


def bridge(*arguments: object) -> Ended:
    """Run the console script within this process."""
    out, err = io.StringIO(), io.StringIO()
    status: object = None
    argv = ["bridge", *map(str, arguments)]
    with patch.object(sys, "argv", argv), redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as ended:
            status = ended.code
    assert isinstance(status, int)
    if status in FINISHED:
        holds_if_json(argv[1:], out.getvalue())
    return Ended(status, out.getvalue(), err.getvalue())


@cache
def _forking() -> Forking:
    return Forking()


def bridge_process(*arguments: object, cwd: Path | None = None, **environment: str) -> Ended:
    """Run the console script as a process of its own, its output into pipes."""
    words = [*map(str, arguments)]
    status, out, err = _forking().run(words, cwd, {**os.environ, **environment}, ENDS_WITHIN_S)
    if status in FINISHED:
        holds_if_json(words, out)
    return Ended(status, out, err)
