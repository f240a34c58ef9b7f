"""What the allocator keeps between blocks in use goes back to the system."""

from __future__ import annotations

import subprocess
import sys

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
