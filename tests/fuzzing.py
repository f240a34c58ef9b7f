"""Fuzzing: bytes that were changed at random, kept inputs that once were trouble, and what a run cost."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CORPORA = Path(__file__).parent / "corpora"
INPUT_MAX_BYTES = 4096
Target = Callable[[bytes], None]


def kept(name: str) -> list[Path]:
    """Inputs that a target was in trouble with, or that show a corner; each is tried in every run."""
    return sorted((CORPORA / name).iterdir())


@st.composite
def changed(draw: st.DrawFn, seeds: Sequence[bytes], pieces: Sequence[bytes]) -> bytes:
    """A seed, or two joined, with some of it cut out, repeated or overwritten."""
    body = bytearray(b"".join(draw(st.lists(st.sampled_from(seeds), min_size=1, max_size=2))))
    for _ in range(draw(st.integers(0, 8))):
        at = draw(st.integers(0, len(body)))
        cut = draw(st.integers(0, 12))
        new = draw(st.sampled_from(pieces) | st.binary(max_size=4))
        body[at : at + cut] = new * draw(st.sampled_from((1, 1, 1, 2, 50)))
    return bytes(body[:INPUT_MAX_BYTES])


def fuzz(target: Target, inputs: st.SearchStrategy[bytes], examples: int) -> str:
    """Call the target with so many inputs; what that cost, in words. What the target raises is raised."""
    slowest_s, slowest = 0.0, b""
    count = 0

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(inputs | st.binary(max_size=200))
    def run(data: bytes) -> None:
        nonlocal slowest_s, slowest, count
        began_s = time.process_time()
        target(data)
        took_s = time.process_time() - began_s
        count += 1
        if took_s > slowest_s:
            slowest_s, slowest = took_s, data

    before = _memory_kib()
    began_s = time.process_time()
    run()
    return (
        f"{count} inputs in {time.process_time() - began_s:.0f} s of processor time, the slowest "
        f"{slowest_s * 1000:.0f} ms ({len(slowest)} bytes), memory {before} to {_memory_kib()} KiB"
    )


def _memory_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
