"""Lanes that stand before closed gates, of each the one first that is to go first."""

from __future__ import annotations

import heapq

from bridge.delivery.lane import Position

_Standing = tuple[int, Position, bytes]


class Parked:
    """Lanes before gates. One may have gone elsewhere by the time that it is taken."""

    __slots__ = ("_before",)

    def __init__(self) -> None:
        self._before: dict[str, list[_Standing]] = {}

    def __bool__(self) -> bool:
        return bool(self._before)

    def __contains__(self, gate: str) -> bool:
        return gate in self._before

    def stand(self, gate: str, tried: int, position: Position, key: bytes) -> None:
        """A lane stands before a gate, that was ``tried`` so often by its head, at that position."""
        heapq.heappush(self._before.setdefault(gate, []), (tried, position, key))

    def take(self, gate: str) -> tuple[Position, bytes] | None:
        """The position and the lane before a gate that is first, and stands there no more: the oldest of
        those that have tried it least. None where nothing stands there."""
        standing = self._before.get(gate)
        if standing is None:
            return None
        _, position, key = heapq.heappop(standing)
        if not standing:
            del self._before[gate]
        return position, key
