"""What the allocator keeps goes back to the system, and no thread keeps memory of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

HOLES = """
from bridge.cli.memory import give_back
def mib():
    return int(open("/proc/self/statm").read().split()[1]) * 4 / 1024
blocks = [bytes(2000) for _ in range(50_000)]
kept = blocks[::50]
del blocks
before = mib()
give_back()
print(before - mib(), len(kept))
"""


def test_memory_that_lies_free_between_blocks_in_use_is_given_back() -> None:
    said = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, text=True, check=True).stdout
    given_mib, kept = said.split()
    assert float(given_mib) > 50
    assert int(kept) == 1000


THREAD = """
import re, sys, threading
from bridge.cli.memory import one_heap
if sys.argv[1:]:
    one_heap()
made = []
thread = threading.Thread(target=lambda: made.append(bytes(2000)))
thread.start()
thread.join()
heap = re.search(r"(\\w+)-(\\w+) .*\\[heap\\]", open("/proc/self/maps").read())
print(int(heap[1], 16) <= id(made[0]) < int(heap[2], 16))
"""


@pytest.mark.parametrize(("words", "shared"), [(["one_heap"], "True"), ([], "False")])
def test_a_thread_allocates_from_the_heap_of_all_only_where_that_was_asked_for(
    words: list[str], shared: str
) -> None:
    command = [sys.executable, "-c", THREAD, *words]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == shared
