from __future__ import annotations

from bridge.journal.deliveries import Fresh
from bridge.runtime.fresh import FRESH_MAX_REQUESTS, FreshRequests


def fresh(request: bytes) -> Fresh:
    return Fresh(1, "ehr-adt", "patient", request, b"trace", 1, "")


def test_a_request_is_taken_once() -> None:
    kept = FreshRequests()
    kept.keep(7, fresh(b"a"))
    assert kept.take(7) == fresh(b"a")
    assert kept.take(7) is None


def test_no_more_than_so_many_are_kept_however_small() -> None:
    kept = FreshRequests()
    for delivery_id in range(FRESH_MAX_REQUESTS + 5):
        kept.keep(delivery_id, fresh(b"a"))
    assert len(kept) == FRESH_MAX_REQUESTS
    assert [kept.take(delivery_id) is not None for delivery_id in (4, 5)] == [False, True]


def test_the_oldest_give_way_so_that_memory_is_bounded() -> None:
    kept = FreshRequests(max_bytes=30)
    for delivery_id in range(1, 8):
        kept.keep(delivery_id, fresh(b"x" * 10))
    assert len(kept) == 3
    assert [kept.take(delivery_id) is not None for delivery_id in range(3, 8)] == [
        False,
        False,
        True,
        True,
        True,
    ]
    kept.keep(8, fresh(b"x" * 31))
    assert len(kept) == 0
