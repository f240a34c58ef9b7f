"""Trees and proofs: as RFC 6962 has them, also where only the end of a tree is kept."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.audit.merkle import (
    EMPTY,
    Frontier,
    Tree,
    consistency_holds,
    inclusion_holds,
    leaf_hash,
    node_hash,
    root,
)

# Inputs and roots that implementations of RFC 6962 hold themselves against.
ENTRIES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [leaf_hash(bytes.fromhex(entry)) for entry in ENTRIES]


def test_roots_are_those_that_others_come_to() -> None:
    assert [root(LEAVES[:size]).hex() for size in range(1, 9)] == ROOTS
    assert root([]) == EMPTY == sha256(b"").digest()


def _leaves(size: int) -> list[bytes]:
    return [leaf_hash(str(number).encode()) for number in range(size)]


def _by_the_book(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 2.1, word by word."""
    if len(leaves) < 2:
        return leaves[0] if leaves else EMPTY
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node_hash(_by_the_book(leaves[:k]), _by_the_book(leaves[k:]))


@pytest.mark.parametrize("size", range(40))
def test_a_root_is_the_same_made_at_once_by_the_book_and_leaf_by_leaf(size: int) -> None:
    leaves = _leaves(size)
    grown = Frontier().appended(leaves)
    assert root(leaves) == _by_the_book(leaves) == grown.root
    assert Frontier.from_bytes(size, grown.to_bytes()) == grown


@given(st.integers(1, 120), st.data())
def test_every_leaf_is_proven_and_no_other(size: int, data: st.DataObject) -> None:
    leaves = _leaves(size)
    index = data.draw(st.integers(0, size - 1))
    proof = Tree(leaves).inclusion_proof(index)
    whole = root(leaves)
    assert inclusion_holds(leaves[index], index, size, proof, whole)
    assert not inclusion_holds(leaf_hash(b"another"), index, size, proof, whole)
    assert not inclusion_holds(leaves[index], index, size, [*proof, whole], whole)
    assert not inclusion_holds(leaves[index], size, size, proof, whole)
    if proof:
        assert not inclusion_holds(leaves[index], index, size, proof[:-1], whole)
        flipped = [bytes([proof[0][0] ^ 1]) + proof[0][1:], *proof[1:]]
        assert not inclusion_holds(leaves[index], index, size, flipped, whole)


@given(st.integers(0, 120), st.data())
def test_what_was_there_before_is_proven_to_be_the_beginning(size: int, data: st.DataObject) -> None:
    leaves = _leaves(size)
    first = data.draw(st.integers(0, size))
    proof = Tree(leaves).consistency_proof(first)
    roots = root(leaves[:first]), root(leaves)
    assert consistency_holds(first, size, *roots, proof)
    other = leaf_hash(b"other")
    assert not consistency_holds(first, size, other, roots[1], proof)
    assert not consistency_holds(first, size, *roots, [*proof, other])
    if first > 0:
        assert not consistency_holds(first, size, roots[0], other, proof)
    if first not in (0, size):
        assert not consistency_holds(first, size, *roots, proof[:-1])


@given(st.integers(1, 100), st.data())
def test_the_end_of_a_tree_proves_what_is_in_it_without_its_beginning(size: int, data: st.DataObject) -> None:
    leaves = _leaves(size)
    let_go = data.draw(st.integers(0, size - 1))
    kept = Tree(leaves[let_go:], Frontier().appended(leaves[:let_go]))
    first = data.draw(st.integers(let_go, size))
    index = data.draw(st.integers(let_go, size - 1))
    assert kept.root_of(size) == root(leaves)
    assert kept.consistency_proof(first) == Tree(leaves).consistency_proof(first)
    assert kept.inclusion_proof(index) == Tree(leaves).inclusion_proof(index)


def test_what_is_not_kept_of_a_tree_is_not_proven() -> None:
    kept = Tree(_leaves(8)[5:], Frontier().appended(_leaves(5)))
    with pytest.raises(ValueError, match="older than what is kept"):
        kept.inclusion_proof(1)
    with pytest.raises(ValueError, match="older than what is kept"):
        kept.consistency_proof(3)
    for size, roots in ((2, ()), (-1, ()), (0, (EMPTY,))):
        with pytest.raises(ValueError, match="subtrees"):
            Frontier(size, roots)
