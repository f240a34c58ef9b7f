"""What goes between a node and its workers comes out as it went in, however it is cut."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.journal.flows import NewStep
from bridge.journal.hashes import Hashes
from bridge.journal.messages import NewDelivery, Untranslated
from bridge.journal.newness import Newness
from bridge.runtime.making import Made
from bridge.runtime.parcels import PARCEL_MAX_BYTES, Unwrapping, answer, question, read_answer, read_question

words = st.text(max_size=8)
sources = st.builds(
    Untranslated,
    st.integers(1, 2**40),
    st.binary(max_size=200),
    words,
    st.none() | st.integers(1, 9),
    words,
    st.just(b""),
    st.integers(0, 2**50),
)
steps = st.builds(
    NewStep, st.lists(words, max_size=2).map(tuple), words, words, st.none() | st.binary(max_size=20)
)
deliveries = st.builds(
    NewDelivery,
    words, words, words, st.sampled_from(["READY", "FILTERED"]), words, words, words,
    st.none() | st.binary(max_size=200), st.booleans(), words,
    newness=st.none() | st.builds(Newness, words, st.integers(0, 2**50), st.integers(0, 9)),
    step=st.none() | steps,
)  # fmt: skip
mades = st.builds(
    Made,
    st.lists(st.binary(max_size=16), max_size=3).map(tuple),
    st.lists(st.tuples(words, st.binary(max_size=16)), max_size=3),
    st.lists(deliveries, max_size=3),
    words,
    st.lists(words, max_size=3).map(tuple),
    words,
    words,
)


def cut(data: bytes, size: int) -> list[tuple[Any, memoryview]]:
    unwrapping = Unwrapping()
    return [each for at in range(0, len(data), size) for each in unwrapping.feed(data[at : at + size])]


@given(batches=st.lists(st.lists(sources, max_size=4), max_size=3), size=st.integers(1, 500))
def test_messages_come_out_as_they_went_in(batches: list[list[Untranslated]], size: int) -> None:
    data = b"".join(question(number, "ehr-adt", each) for number, each in enumerate(batches))
    read = [read_question(content, blob) for content, blob in cut(data, size)]
    assert read == [(number, "ehr-adt", each) for number, each in enumerate(batches)]


@given(made=st.lists(mades, max_size=4), size=st.integers(1, 500))
def test_what_they_were_made_into_comes_out_as_it_went_in(made: list[Made], size: int) -> None:
    ((content, blob),) = cut(answer(7, made), size)
    number, read = read_answer(content, blob)
    assert number == 7
    fields = Made.__slots__
    assert [[getattr(each, name) for name in fields] for each in read] == [
        [getattr(each, name) for name in fields] for each in made
    ]


def test_what_can_be_no_parcel_is_refused() -> None:
    with pytest.raises(ValueError, match="larger"):
        list(Unwrapping().feed(PARCEL_MAX_BYTES.to_bytes(4, "big") * 2))


def test_a_hash_is_the_same_wherever_it_is_made() -> None:
    assert Hashes(b"k" * 32).hash(b"a", b"b") == Hashes(b"k" * 32).hash(b"a", b"b")
    assert Hashes(b"k" * 32).hash(b"a", b"b") != Hashes(b"k" * 32).hash(b"ab")
    assert Hashes(b"k" * 32).search_hash("1^NORTH") == Hashes(b"k" * 32).search_hash("1")
