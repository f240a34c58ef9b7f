"""What is remembered of files that cannot be taken or put away, so that none stops another. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

WAIT_MAX_S = 300.0
TELLING: Final = "/telling"
"""The key of what senders are to be told, which is no file of theirs; no file's name begins so."""


@dataclass(slots=True)
class _Setback:
    """One file: since when, how often, when it is tried again, and what is told of it, if anything is."""

    since_s: float
    again_s: float
    times: int = 0
    text: str = ""


class Setbacks:
    """Files by a key of who asks: their claim, or their name."""

    def __init__(self) -> None:
        self._known: dict[str, _Setback] = {}

    def rests(self, key: str, now_s: float) -> bool:
        """Whether it is too early to try this one again."""
        setback = self._known.get(key)
        return setback is not None and now_s < setback.again_s

    def failed(self, key: str, text: str, now_s: float, poll_s: float) -> bool:
        """Note what went wrong, for a person. Each time it rests longer; True where this is new."""
        setback = self._known.setdefault(key, _Setback(now_s, now_s))
        setback.again_s = now_s + min(WAIT_MAX_S, poll_s * 2 ** min(setback.times, 10))
        setback.times += 1
        is_new, setback.text = setback.text != text, text
        return is_new

    def changed(self, key: str, now_s: float) -> tuple[bool, float]:
        """Note that it was written to while it was read: whether that is new, and for how long it is so."""
        is_new = key not in self._known
        setback = self._known.setdefault(key, _Setback(now_s, now_s))
        return is_new, now_s - setback.since_s

    def over(self, key: str) -> None:
        """It could be done."""
        self._known.pop(key, None)

    def only(self, keys: Collection[str]) -> None:
        """Forget what is there no more."""
        self._known = {key: each for key, each in self._known.items() if key in keys or key == TELLING}

    @property
    def told(self) -> tuple[str, ...]:
        """A text for each that somebody must see to."""
        return tuple(each.text for each in self._known.values() if each.text)
