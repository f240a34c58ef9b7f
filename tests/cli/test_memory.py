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


SETTLED = """
import gc, weakref
from bridge.cli.memory import NEW_OBJECTS_MAX, settle
class Holding:
    def __init__(self):
        self.itself = self
settle()
first = weakref.ref(Holding())
made = 0
while first() is not None and made < 3 * NEW_OBJECTS_MAX:
    Holding()
    made += 1
print(gc.get_freeze_count() > 1000, made > 1000, first() is None)
"""


def test_a_settled_process_still_finds_what_holds_itself_though_less_often() -> None:
    said = subprocess.run([sys.executable, "-c", SETTLED], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["True", "True", "True"]
