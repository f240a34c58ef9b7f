"""What the allocator of the C library keeps, which a node has no use for. With another library than glibc
nothing happens here, and nothing need."""

from __future__ import annotations

import ctypes
from typing import Final

_library: Final = ctypes.CDLL(None)
_M_ARENA_MAX: Final = -8
"""As `<malloc.h>` of glibc numbers it (mallopt(3))."""


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
