"""Whose turn it is: heads of lanes that could go now, in order within their channel, channels by turns."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

Token = tuple[bytes, int]
"""A lane and the delivery at its head; it may be out of date by the time its turn comes."""


class Ready:
    """Heads of lanes that could go, by channel. Each channel gets one turn after the other, however much of
    it waits."""

    __slots__ = ("_of", "_turns")

    def __init__(self) -> None:
        self._of: dict[str, deque[Token]] = {}
        self._turns: deque[str] = deque()
        """Channels of which something waits, each once, the next one first."""

    def add(self, channel: str, token: Token, *, first: bool = False) -> None:
        """Take a head in, behind its channel's others or before them."""
        waiting = self._of.get(channel)
        if waiting is None:
            waiting = self._of[channel] = deque()
            self._turns.append(channel)
        if first:
            waiting.appendleft(token)
        else:
            waiting.append(token)

    def take(self, passed_over: Callable[[str], bool]) -> Token | None:
        """The next one of the channel whose turn it is, of those that are not passed over; or None.

        A token that turns out to be out of date costs its channel a turn, and no more.
        """
        for _ in range(len(self._turns)):
            channel = self._turns.popleft()
            if passed_over(channel):
                self._turns.append(channel)
                continue
            waiting = self._of[channel]
            token = waiting.popleft()
            if waiting:
                self._turns.append(channel)
            else:
                del self._of[channel]
            return token
        return None
