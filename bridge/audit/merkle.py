"""Merkle trees as RFC 6962 section 2.1 makes them, their proofs, and how RFC 9162 section 2.1 verifies these.

A tree of which only the end is kept goes on growing, and proves what is in its end: `Frontier` is what is
left of the leaves before, a hash for each complete subtree.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

HASH_BYTES: Final = 32
EMPTY: Final = sha256(b"").digest()
"""The root of a tree without leaves."""


def leaf_hash(entry: bytes) -> bytes:
    """The hash of a leaf."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees that stand side by side."""
    return sha256(b"\x01" + left + right).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """The root over hashes of leaves.

    >>> root([]) == EMPTY, root([leaf_hash(b"a")]) == leaf_hash(b"a")
    (True, True)
    """
    if not leaves:
        return EMPTY
    level = list(leaves)
    while len(level) > 1:
        # Joining side by side from the left, and passing a single one at the end up as it is, splits each
        # part at the largest power of two below its size, as the RFC does.
        last = level[-1:] if len(level) % 2 else []
        pairs = iter(level)
        level = [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=False)]
        level += last
    return level[0]


@dataclass(frozen=True, slots=True)
class Frontier:
    """A tree of ``size`` leaves as the roots of its complete subtrees, the largest first.

    There are as many as ``size`` has ones in binary, so it takes at most 64 hashes whatever the size.
    """

    size: int = 0
    roots: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.roots) != self.size.bit_count():
            raise ValueError(f"a tree of {self.size} leaves does not have {len(self.roots)} subtrees")

    def appended(self, leaves: Iterable[bytes]) -> Frontier:
        """The tree with further leaves, given as their hashes."""
        size, roots = self.size, list(self.roots)
        for leaf in leaves:
            joined, at = leaf, size
            while at & 1:
                joined = sha256(b"\x01" + roots.pop() + joined).digest()
                at >>= 1
            roots.append(joined)
            size += 1
        return Frontier(size, tuple(roots))

    @property
    def root(self) -> bytes:
        """The root of the tree."""
        if not self.roots:
            return EMPTY
        found = self.roots[-1]
        for left in reversed(self.roots[:-1]):
            found = node_hash(left, found)
        return found

    def to_bytes(self) -> bytes:
        """The roots, one behind the other."""
        return b"".join(self.roots)

    @classmethod
    def from_bytes(cls, size: int, kept: bytes) -> Frontier:
        """What `to_bytes` gave. Raises ValueError where it does not belong to that size."""
        if len(kept) % HASH_BYTES:
            raise ValueError("a hash has 32 bytes")
        cut = (kept[at : at + HASH_BYTES] for at in range(0, len(kept), HASH_BYTES))
        return cls(size, tuple(cut))


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree of which the leaves from ``before.size`` on are known, and of those before only `Frontier`.

    ``leaves`` are hashes. Where all are known, ``before`` is empty.
    """

    leaves: Sequence[bytes]
    before: Frontier = Frontier()

    @property
    def size(self) -> int:
        """How many leaves it has."""
        return self.before.size + len(self.leaves)

    def root_of(self, size: int) -> bytes:
        """The root that it had with its first ``size`` leaves. Raises ValueError where it is not known."""
        if size == 0:
            return EMPTY
        return self._range(0, size)

    def inclusion_proof(self, index: int, size: int | None = None) -> list[bytes]:
        """What shows that the leaf at ``index`` is one of the first ``size`` leaves (RFC 6962 2.1.1).

        Raises ValueError where the leaf or a neighbour is not known.
        """
        size = self.size if size is None else size
        if not 0 <= index < size <= self.size:
            raise ValueError(f"there is no leaf {index} in a tree of {size}")
        return self._path(index, 0, size)

    def consistency_proof(self, first: int, second: int | None = None) -> list[bytes]:
        """What shows that the tree of ``second`` leaves begins with that of ``first`` (RFC 6962 2.1.2).

        Raises ValueError where it does not have so many, or a hash it takes is not known.
        """
        second = self.size if second is None else second
        if not 0 <= first <= second <= self.size:
            raise ValueError(f"no tree of {second} leaves begins with one of {first} here")
        return [] if first in (0, second) else self._subproof(first, 0, second, whole=True)

    def _path(self, index: int, start: int, end: int) -> list[bytes]:
        if end - start == 1:
            return []
        middle = start + _split(end - start)
        if index < middle:
            return [*self._path(index, start, middle), self._range(middle, end)]
        return [*self._path(index, middle, end), self._range(start, middle)]

    def _subproof(self, first: int, start: int, end: int, *, whole: bool) -> list[bytes]:
        if first == end:
            return [] if whole else [self._range(start, end)]
        middle = start + _split(end - start)
        if first <= middle:
            return [*self._subproof(first, start, middle, whole=whole), self._range(middle, end)]
        return [*self._subproof(first, middle, end, whole=False), self._range(start, middle)]

    def _range(self, start: int, end: int) -> bytes:
        """The root over the leaves from ``start`` up to ``end``, which is one of the tree's own parts."""
        known_from = self.before.size
        if start >= known_from:
            return root(self.leaves[start - known_from : end - known_from])
        if end <= known_from:
            at = 0
            for kept, size in zip(self.before.roots, _parts(known_from), strict=True):
                if (at, at + size) == (start, end):
                    return kept
                at += size
            if end - start == 1:
                raise ValueError(f"leaf {start} is older than what is kept of the tree")
        middle = start + _split(end - start)
        return node_hash(self._range(start, middle), self._range(middle, end))


def _split(size: int) -> int:
    """The largest power of two below ``size``."""
    return 1 << ((size - 1).bit_length() - 1)


def _parts(size: int) -> list[int]:
    """The sizes of the complete subtrees of a tree, the largest first."""
    return [1 << bit for bit in reversed(range(size.bit_length())) if size >> bit & 1]


def inclusion_holds(leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected: bytes) -> bool:
    """Whether a proof shows that ``leaf`` is at ``index`` in the tree with this root (RFC 9162 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    at, last, found = index, size - 1, leaf
    for each in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node_hash(each, found)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, each)
        at, last = at >> 1, last >> 1
    return last == 0 and found == expected


def consistency_holds(
    first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether a proof shows that the second tree begins with the first (RFC 9162 2.1.4.2)."""
    if not 0 <= first <= second:
        return False
    if first == second:
        return not proof and first_root == second_root
    if first == 0:
        return not proof and first_root == EMPTY
    path = list(proof)
    if first & (first - 1) == 0:
        path.insert(0, first_root)
    if not path:
        return False
    at, last = first - 1, second - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    older = newer = path[0]
    for each in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            older, newer = node_hash(each, older), node_hash(each, newer)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            newer = node_hash(newer, each)
        at, last = at >> 1, last >> 1
    return last == 0 and older == first_root and newer == second_root
