"""Channels have their turns one after the other, and none is in another's way."""

from __future__ import annotations

import pytest

from bridge.delivery.ready import Ready


def test_channels_take_turns_however_much_of_one_waits() -> None:
    ready = Ready()
    for number in range(4):
        ready.add("file", (b"f", number))
    ready.add("adt", (b"a", 10))
    ready.add("oru", (b"o", 20))
    ready.add("adt", (b"a", 9), first=True)
    taken = []
    while (token := ready.take(lambda _: False)) is not None:
        taken.append(token[1])
    assert taken == [0, 9, 20, 1, 10, 2, 3]


@pytest.mark.parametrize(
    ("passed_over", "next_one"), [({"file"}, 10), ({"adt"}, 0), ({"file", "adt"}, None), (set[str](), 0)]
)
def test_a_channel_that_is_passed_over_keeps_what_waits(passed_over: set[str], next_one: int | None) -> None:
    ready = Ready()
    ready.add("file", (b"f", 0))
    ready.add("adt", (b"a", 10))
    token = ready.take(passed_over.__contains__)
    assert (None if token is None else token[1]) == next_one
    left = []
    while (token := ready.take(lambda _: False)) is not None:
        left.append(token[1])
    assert sorted(left) == [each for each in (0, 10) if each != next_one]
