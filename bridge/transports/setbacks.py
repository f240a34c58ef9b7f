"""What is remembered of files that cannot be taken or put away, so that none stops another. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

WAIT_MAX_S = 300.0
GROWS_WITHIN_S = 60.0
LATER_MAX_COUNT: Final = 10_000
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
        self._broke: set[str] = set()

    def rests(self, key: str, now_s: float) -> bool:
        """Whether it is too early to try this one again."""
        setback = self._known.get(key)
        return setback is not None and now_s < setback.again_s

    def behind(self, key: str) -> bool:
        """Whether somebody must see to this one, so that others go first."""
        setback = self._known.get(key)
        return setback is not None and bool(setback.text)

    def broke(self, key: str) -> bool:
        """Note that the connection broke at this one; True where it did so the last time too."""
        again = key in self._broke
        self._broke.add(key)
        return again

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
        self._broke.discard(key)

    def only(self, keys: Collection[str]) -> None:
        """Forget what is there no more."""
        self._known = {key: each for key, each in self._known.items() if key in keys or key == TELLING}
        self._broke = {key for key in self._broke if key in keys or key == TELLING}

    @property
    def told(self) -> tuple[str, ...]:
        """A text for each that somebody must see to."""
        return tuple(each.text for each in self._known.values() if each.text)


@dataclass(frozen=True, slots=True)
class PutAway:
    """A file that was taken with so many bytes, and where it lies since."""

    name: str
    where: str
    size_bytes: int
    again_s: float


class Afterwards:
    """Files that were put away, each looked at once more: of one that was believed to be finished too early,
    what its sender wrote later is in no message."""

    def __init__(self) -> None:
        self._later: deque[PutAway] = deque()
        self._grown: dict[str, PutAway] = {}

    def put_away(self, name: str, where: str, size_bytes: int, now_s: float) -> None:
        """Look at this one again."""
        self._later.append(PutAway(name, where, size_bytes, now_s + GROWS_WITHIN_S))

    def due(self, now_s: float) -> list[PutAway]:
        """Whose time has come, and those that have grown and may be there no more."""
        due = list(self._grown.values())
        while self._later and (self._later[0].again_s <= now_s or len(self._later) > LATER_MAX_COUNT):
            due.append(self._later.popleft())
        return due

    def seen(self, file: PutAway, size_bytes: int | None) -> bool:
        """Note its size now, None where it is gone; True where it is new that it has grown."""
        if size_bytes is None or size_bytes <= file.size_bytes:
            self._grown.pop(file.where, None)
            return False
        is_new = file.where not in self._grown
        self._grown[file.where] = file
        return is_new

    @property
    def told(self) -> tuple[str, ...]:
        """A text for each that has grown, for as long as it lies there."""
        return tuple(
            f"{each.name}: its sender wrote to it after it was taken with {each.size_bytes} bytes, and what "
            "came then is in no message: see to `finished` and its sender, and move the file elsewhere"
            for each in self._grown.values()
        )
