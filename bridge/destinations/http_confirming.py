"""What an API says of a call that it has accepted: where to ask about it, and what it then answers. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import orjson

from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.http_captures import value_at

TARGET_MAX_CHARACTERS: Final = 2000
_TARGET: Final = re.compile(r"/[!-~]*")


def target_in(place: str, headers: Mapping[str, str], body: bytes, base_url: str) -> str | None:
    """The path, with what stands behind its question mark, that an answer says is to be asked.

    None where it says none, or one of another host: an API's answer must not send us elsewhere.

    >>> target_in("header Location", {"location": "/jobs/7?x=1"}, b"", "https://api.example/v1")
    '/jobs/7?x=1'
    """
    if place.startswith("/"):
        try:
            found: Any = value_at(orjson.loads(body), place)
        except orjson.JSONDecodeError:
            return None
    else:
        name = place.partition(" ")[2].lower()
        found = next((text for key, text in headers.items() if key.lower() == name), None)
    if not isinstance(found, str) or not found or len(found) > TARGET_MAX_CHARACTERS:
        return None
    try:
        ours, theirs = urlsplit(base_url), urlsplit(urljoin(base_url.rstrip("/") + "/", found))
        same = (ours.scheme, ours.hostname, ours.port) == (theirs.scheme, theirs.hostname, theirs.port)
    except ValueError:
        return None
    target = theirs.path + (f"?{theirs.query}" if theirs.query else "")
    return target if same and is_target(target) and theirs.username is None else None


def is_target(text: str) -> bool:
    """Whether a text can stand in a request line."""
    return _TARGET.fullmatch(text) is not None and "#" not in text


def confirmed(
    pointer: str, done: Collection[str], failed: Collection[str], status: int, body: bytes
) -> Outcome:
    """What the answer to such a question means: DELIVERED, POISON where it failed, RETRY for not yet.

    >>> confirmed("", (), (), 202, b"").verdict.value, confirmed("", (), (), 200, b"").verdict.value
    ('retry', 'delivered')
    """
    if pointer and status == 200:
        try:
            word = value_at(orjson.loads(body), pointer)
        except orjson.JSONDecodeError:
            word = None
        if word in done:
            return Outcome(Verdict.DELIVERED, "confirmed", status)
        if word in failed:
            return Outcome(Verdict.POISON, "confirmed-failed", status)
        return Outcome(Verdict.RETRY, "not-yet", status)
    if status == 202:
        return Outcome(Verdict.RETRY, "not-yet", status)
    if status == 303 or (status // 100 == 2 and not pointer):
        return Outcome(Verdict.DELIVERED, "confirmed", status)
    if status // 100 == 4 and status not in (401, 403, 408, 425, 429):
        return Outcome(Verdict.POISON, "confirmed-failed", status)
    return Outcome(Verdict.RETRY, "not-yet", status)
