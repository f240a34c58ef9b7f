"""No file is too strange: what is loaded is a topology, or it is refused with places in the files."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from config_site import CATALOG, FILES, write_site
from fuzzing import fuzz, kept

from bridge.config.load import load
from bridge.errors import ConfigurationRefused
from bridge.located import Problem

NAMES = sorted(FILES)
SEEDS = [bytes([number]) + FILES[name].encode() for number, name in enumerate(NAMES)]
PIECES = [
    b": ", b"- ", b"\n", b"\n  ", b"{", b"}", b"[", b"]", b"'", b'"', b"#", b"&a", b"*a",
    b"!!python/object:x",
    b"|", b">", b"\t", b"---", b"%YAML 9", b"PID-3(5=MR)", b"| upper", b"MSH-", b"9" * 400, b"\xff",
    b"\xf0\x9f\x98\x80", b"value://x", b"secret://env/X", b"1e999s", b"0x1C", b"strict: true",
]  # fmt: skip


def config(data: bytes) -> None:
    """The first byte says which file of a good site holds the rest."""
    name = NAMES[data[0] % len(NAMES)] if data else NAMES[0]
    with tempfile.TemporaryDirectory() as folder:
        problems = problems_of(write_site(Path(folder), {**FILES, name: data[1:]}))
    if problems is not None:
        assert problems
        for problem in problems:
            assert problem.code
            assert problem.place.file


def problems_of(site: Path) -> tuple[Problem, ...] | None:
    """Why the files are refused, or None."""
    try:
        load(site, CATALOG)
    except ConfigurationRefused as refused:
        return refused.problems
    return None


@pytest.mark.parametrize("path", kept("config"), ids=lambda path: path.name)
def test_what_was_trouble_once_is_none_now(path: Path) -> None:
    config(path.read_bytes())


def test_no_file_is_too_strange(fuzz_cpu_s: float, fuzz_seed: int) -> None:
    print("config", fuzz(config, SEEDS, PIECES, cpu_s=fuzz_cpu_s, seed=fuzz_seed))


def test_trouble_is_told_with_its_seed_and_the_smallest_input_that_makes_it(fuzz_seed: int) -> None:
    def target(data: bytes) -> None:
        if b"NUL" in data:
            raise KeyError("planted")

    with pytest.raises(AssertionError, match=f"seed {fuzz_seed}, .*KeyError: 'planted' for b'NUL'$"):
        fuzz(target, [b"a good file"], [b"NUL"], cpu_s=60, seed=fuzz_seed)
