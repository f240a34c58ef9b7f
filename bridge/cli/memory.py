"""What a process keeps that it has no use for: the allocator of the C library, and Python's collector. With
another library than glibc the former is left alone, and may be."""

from __future__ import annotations

import ctypes
import gc
from typing import Final

_library: Final = ctypes.CDLL(None)
_M_ARENA_MAX: Final = -8
"""As `<malloc.h>` of glibc numbers it (mallopt(3))."""

NEW_OBJECTS_MAX: Final = 5_000
"""So many more objects than before have the collector look for those that hold each other."""


def settle() -> None:
    """What start-up made stays: the collector need not look at it again. And it looks less often at what
    comes after, of which hardly anything is its to find: by itself it would be at each 700 objects more, as
    a batch of messages has, and take 3 % of a node's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS_MAX)


def one_heap() -> None:
    """Have all threads that begin from now on allocate from one heap, and not each from one of its own.

    What one thread makes and another lets go of, as messages are that one reads and another sends, leaves
    holes in the heap of the first, and each of these grows for itself. Threads wait for each other here
    anyway, for the interpreter, so that several heaps would win little.
    """
    if (mallopt := getattr(_library, "mallopt", None)) is not None:
        mallopt(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Give the system what lies free between blocks in use (malloc_trim(3)), for less than a millisecond.

    Messages of all sizes come and go, and what is kept meanwhile lies between them: by itself a node that
    takes 900 messages a second would hold 5 MiB more each minute, of which nothing is in use.
    """
    if (trim := getattr(_library, "malloc_trim", None)) is not None:
        trim(0)
