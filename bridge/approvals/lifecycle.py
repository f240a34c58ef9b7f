"""The life of a bundle of files: draft, review, approved, active, deprecated, retired.

A draft is what stands in a folder and nobody has proposed, a review waits for others to agree. An active
bundle is the one that a node runs by. A deprecated one was active and may be again, which is how a site steps
back; a retired one never is.
"""

from __future__ import annotations

from typing import Final, Literal

State = Literal["draft", "review", "approved", "active", "deprecated", "retired"]
STATES: Final[tuple[State, ...]] = ("draft", "review", "approved", "active", "deprecated", "retired")
ARROWS: Final[frozenset[tuple[State, State]]] = frozenset(
    {
        ("draft", "review"),  # somebody proposes it
        ("review", "approved"),  # enough others agree
        ("review", "retired"),
        ("approved", "active"),  # a node runs by it
        ("approved", "retired"),
        ("active", "deprecated"),  # by another one
        ("deprecated", "active"),
        ("deprecated", "retired"),
    }
)
KEPT_ARROWS: Final = tuple(sorted(each for each in ARROWS if not {"draft", "review"} & {*each}))
"""Those that a journal sees, which knows a bundle from the moment in which a node may run by it."""
KEPT_BEGINS: Final = ("approved",)
