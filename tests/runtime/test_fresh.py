from __future__ import annotations

from bridge.journal.deliveries import Fresh
from bridge.runtime.fresh import FreshRequests


def fresh(request: bytes) -> Fresh:
    return Fresh(1, "ehr-adt", "patient", request, b"trace", 1, "")


def test_a_request_is_taken_once() -> None:
    kept = FreshRequests()
    kept.keep(7, fresh(b"a"))
    assert kept.take(7) == fresh(b"a")
    assert kept.take(7) is None


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
