"""Fuzzing: bytes that were changed at random, kept inputs that once were trouble, and what a run cost."""

from __future__ import annotations

import gc
import random
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from hypothesis import strategies as st

CORPORA = Path(__file__).parent / "corpora"
INPUT_MAX_BYTES = 4096
INPUT_MAX_S = 1.0
"""Of processor time; whatever takes longer is a fault as an exception is."""
MINIMISING_MAX_COUNT = 2000
Target = Callable[[bytes], None]


def kept(name: str) -> list[Path]:
    """Inputs that a target was in trouble with, or that show a corner; each is tried in every run."""
    return sorted((CORPORA / name).iterdir())


def fuzz(target: Target, seeds: Sequence[bytes], pieces: Sequence[bytes], *, cpu_s: float, seed: int) -> str:
    """Call the target with changed seeds for so long; what that took, in words.

    Raises AssertionError with the smallest input that was found to do the same, which belongs into the
    corpora, for whatever the target raises or takes too long for.
    """
    chance = random.Random(seed)
    slowest_s, slowest, count = 0.0, b"", 0
    gc.collect()
    before, began_s = _memory_kib(), time.process_time()
    while (spent_s := time.process_time() - began_s) < cpu_s:
        data = mutated(chance, seeds, pieces)
        took_s, trouble = _tried(target, data)
        if trouble:
            small = _minimised(target, data, trouble)
            raise AssertionError(f"seed {seed}, input {count}: {trouble} for {small!r}")
        count += 1
        if took_s > slowest_s:
            slowest_s, slowest = took_s, data
    return (
        f"{count} inputs in {spent_s:.0f} s of processor time from seed {seed}, the slowest "
        f"{slowest_s * 1000:.0f} ms ({len(slowest)} bytes), memory {before} to {_memory_kib()} KiB"
    )


def changed(seeds: Sequence[bytes], pieces: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """The same inputs for a property, which hypothesis makes smaller itself."""
    return st.builds(mutated, st.randoms(use_true_random=False), st.just(seeds), st.just(pieces))


def mutated(chance: random.Random, seeds: Sequence[bytes], pieces: Sequence[bytes]) -> bytes:
    """A seed, or two joined, with some of it cut out, repeated or overwritten; now and then only noise."""
    if chance.random() < 0.02:
        return chance.randbytes(chance.randrange(200))
    body = bytearray(b"".join(chance.choices(seeds, k=chance.choice((1, 1, 2)))))
    for _ in range(chance.randrange(9)):
        at, cut = chance.randint(0, len(body)), chance.randint(0, 12)
        match chance.randrange(4):
            case 0:
                new = chance.randbytes(chance.randint(0, 4))
            case 1:
                start = chance.randint(0, len(body))
                new = bytes(body[start : start + chance.randint(0, 60)])
            case _:
                new = chance.choice(pieces)
        body[at : at + cut] = new * chance.choice((1, 1, 1, 2, 50))
    return bytes(body[:INPUT_MAX_BYTES])


def _tried(target: Target, data: bytes) -> tuple[float, str]:
    """How long one input took, and what was wrong."""
    began_s = time.process_time()
    try:
        target(data)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what was looked for
        return 0.0, f"{type(error).__name__}: {error}"[:500] or type(error).__name__
    took_s = time.process_time() - began_s
    return took_s, f"took {took_s:.1f} s" if took_s > INPUT_MAX_S else ""


def _minimised(target: Target, data: bytes, trouble: str) -> bytes:
    """The same trouble, by its first word, with less."""
    kind, tries = trouble.split(maxsplit=1)[0], 0
    size = len(data) // 2
    while size and tries < MINIMISING_MAX_COUNT:
        for at in range(0, len(data), size):
            less = data[:at] + data[at + size :]
            tries += 1
            if _tried(target, less)[1].startswith(kind):
                data = less
                break
        else:
            size //= 2
    return data


def _memory_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
