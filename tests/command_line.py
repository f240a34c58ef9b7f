"""How tests run `bridge`: within the test where they can, as a process where a reactor would start."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from bridge.cli.main import main

ESCAPE = "\x1b"


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
    return Ended(status, out.getvalue(), err.getvalue())


def bridge_process(*arguments: object, cwd: Path | None = None, **environment: str) -> Ended:
    """Run the console script as a process of its own, its output into pipes."""
    done = subprocess.run(
        [sys.executable, "-m", "bridge.cli.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
        cwd=cwd,
        env={**os.environ, **environment},
    )
    return Ended(done.returncode, done.stdout, done.stderr)
