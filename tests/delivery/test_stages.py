"""Whose a key is: the same everywhere and for ever, one way only, and as many as was said."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.delivery.stages import Stage, Standing, bucket, is_promotion, sender_of, steps_back

SALT = bytes(range(16))

KNOWN = [(b"key-0", 1793), (b"key-1", 6480), (b"key-2", 4872), (b"\x00" * 16, 6515)]


@pytest.mark.parametrize(("key", "expected"), KNOWN)
def test_a_key_has_the_same_bucket_on_every_node_and_in_every_version(key: bytes, expected: int) -> None:
    assert bucket(SALT, "encounter", key) == expected


@given(
    key=st.binary(min_size=1, max_size=32),
    salt=st.binary(max_size=16),
    shares=st.lists(st.integers(0, 10_000), min_size=2, max_size=8),
)
def test_raising_the_share_never_moves_a_key_back(key: bytes, salt: bytes, shares: list[int]) -> None:
    senders = [sender_of(Standing("canary", share, (), salt), "r", [key]) for share in sorted(shares)]
    assert ("bridge", "legacy") not in list(pairwise(senders))


@pytest.mark.parametrize("share", [100, 500, 2500, 5000, 9000])
def test_the_share_is_met_within_half_a_point_at_a_hundred_thousand_keys(share: int) -> None:
    standing = Standing("canary", share, (), SALT)
    keys = (hashlib.blake2b(b"%d" % number, digest_size=16).digest() for number in range(100_000))
    chosen = sum(sender_of(standing, "encounter", [key]) == "bridge" for key in keys)
    assert abs(chosen / 1000 - share / 100) <= 0.5


def test_routes_and_salts_choose_other_keys() -> None:
    keys = [b"%d" % number for number in range(2000)]

    def chosen(salt: bytes, route: str) -> set[bytes]:
        standing = Standing("canary", 1000, (), salt)
        return {key for key in keys if sender_of(standing, route, [key]) == "bridge"}

    one, other, salted = chosen(SALT, "a"), chosen(SALT, "b"), chosen(bytes(16), "a")
    assert len(one & other) < len(one) / 2
    assert len(one & salted) < len(one) / 2


def test_a_message_of_two_keys_is_the_bridges_if_either_is() -> None:
    standing = Standing("canary", 5000, (), SALT)
    keys = [b"%d" % number for number in range(100)]
    ours = [key for key in keys if sender_of(standing, "r", [key]) == "bridge"]
    theirs = [key for key in keys if key not in ours]
    assert sender_of(standing, "r", [theirs[0], ours[0]]) == "bridge"
    assert sender_of(standing, "r", theirs[:2]) == "legacy"


def test_a_canary_may_be_of_some_facilities_and_events_alone() -> None:
    standing = Standing("canary", 10_000, ("facility=NORTH", "event=ADT^A08"), SALT)
    cases = {("NORTH", "ADT^A08"): "bridge", ("NORTH", "ADT^A01"): "legacy", ("SOUTH", "ADT^A08"): "legacy"}
    assert {
        case: sender_of(standing, "r", [b"k"], facility=case[0], event=case[1]) for case in cases
    } == cases


def test_each_stage_has_its_sender_and_its_way_back() -> None:
    stages: tuple[Stage, ...] = ("relay", "shadow", "primary", "complete")
    senders = [sender_of(Standing(stage), "r", [b"k"]) for stage in stages]
    assert senders == ["legacy", "legacy", "bridge", "bridge"]
    assert [steps_back(stage) for stage in ("complete", "primary", "canary", "shadow", "relay")] == [
        "primary", "canary", "shadow", "relay", None,
    ]  # fmt: skip
    assert is_promotion(Standing("canary", 500), Standing("canary", 600))
    assert not is_promotion(Standing("canary", 500), Standing("canary", 400))
