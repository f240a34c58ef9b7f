"""What an API says of a call that it has accepted: where to ask about it, or what it will call it as it tells
us, and what it then says. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Final
from urllib.parse import urljoin, urlsplit

import orjson
from pydantic import AfterValidator, Field

from bridge.component import Options
from bridge.delivery.outcomes import Asked, Outcome, Verdict
from bridge.destinations.http_captures import found_in, is_place, value_at
from bridge.units import DurationS

TARGET_MAX_CHARACTERS: Final = 2000
_TARGET: Final = re.compile(r"/[!-~]*")


def _place(text: str) -> str:
    if not is_place(text):
        raise ValueError("expected a pointer as /status, or `header NAME`")
    return text


def _pointer(text: str) -> str:
    if text and not (text.startswith("/") and is_place(text)):
        raise ValueError("expected a JSON pointer, as in /status")
    return text


class Confirm(Options):
    """How it is known what became of a call that is answered with 202."""

    poll: Annotated[str, AfterValidator(_place)] | None = Field(
        None,
        description="Where in the answer the address stands that is asked with GET: `header NAME` or a JSON "
        "pointer. It must be one of the API's own host. Without `callback` it is `header Location` if not "
        "given.",
    )
    callback: Annotated[str, AfterValidator(_place)] | None = Field(
        None,
        description="Where in the answer stands what the API calls the call, by which it tells us later what "
        "became of it: to a channel of ours whose route goes to an API with `confirms:`.",
    )
    every: DurationS = Field(5.0, gt=0, le=86_400, description="How long between two questions, at least.")
    within: DurationS = Field(
        3600.0, gt=0, le=2_592_000, description="After so long without an answer a person looks at it."
    )
    status: Annotated[str, AfterValidator(_pointer)] = Field(
        "",
        description="A JSON pointer to the word that says how far it is; left out, the status code says it: "
        "202 not yet, another 2xx or 303 done, 4xx failed.",
    )
    done: tuple[str, ...] = Field(
        ("completed", "succeeded", "done"),
        description="Words for done, with `status` and in what calls back.",
    )
    failed: tuple[str, ...] = Field(("failed", "error", "cancelled"), description="Words for failed.")

    @property
    def asks_at(self) -> str | None:
        """Where the address to be asked stands; None where the API is not asked."""
        return self.poll or (None if self.callback else "header Location")


def asked_of(wanted: Confirm, headers: Mapping[str, str], body: bytes, base_url: str) -> Asked | None:
    """Where and by which name it will be known what becomes of a call; None where its answer says neither."""
    at, called = wanted.asks_at, ""
    target = None if at is None else target_in(at, headers, body, base_url)
    if wanted.callback is not None:
        called = found_in({"call": wanted.callback}, headers, body).get("call", "")
    return Asked(target or "", wanted.within, called) if target or called else None


def told(wanted: Confirm, word: str) -> Outcome:
    """What a word means that an API calls back with."""
    if word in wanted.done:
        return Outcome(Verdict.DELIVERED, "confirmed")
    if word in wanted.failed:
        return Outcome(Verdict.POISON, "confirmed-failed")
    return Outcome(Verdict.RETRY, "not-yet")


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
