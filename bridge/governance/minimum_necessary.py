"""Minimum necessary (45 CFR 164.502(b)): a receiver sees the fields that are listed, and of these no more
than it needs: masked, as tokens, coarse, or de-identified as a whole.

The list is `send_only` of each operation, kept where requests are made. Here is what happens to a listed
field before that. The journal keeps the request as it leaves, so no later reader of it sees more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, Literal, Self

from pydantic import Field, model_validator

from bridge.canonical.uses import Use
from bridge.component import Component, Options
from bridge.errors import BridgeError
from bridge.governance.base import Case, Secrets, Stop
from bridge.governance.protection import FITS, KEY_MIN_CHARACTERS, Way, protector
from bridge.governance.safe_harbor import deidentified
from bridge.located import Problem
from bridge.message import NO_EXT, Microseconds, Record
from bridge.units import SecretRef

NO_KEY: Final = Stop("quarantine", "token-key-unavailable")
WHOLE: Final = Stop("quarantine", "projection-error")


class ProtectOptions(Options):
    """What a receiver sees of the fields that are listed for it."""

    fields: Mapping[str, Way] = Field(
        default_factory=dict,
        description="By field, or `key`, or a field within a field as in `identifiers.value`: omit; mask "
        "(three stars); last4; token (the same for the same value, by a secret key); year; zip3.",
    )
    deidentify: Literal["no", "safe_harbor"] = Field(
        "no",
        description="safe_harbor, for test systems: dates become years, keys and numbers tokens, ZIP codes "
        "three digits, free text goes (45 CFR 164.514(b)(2)).",
    )
    token_key: SecretRef | None = Field(
        None, description="Where the key of tokens is kept, never the key itself; 32 characters at least."
    )

    @model_validator(mode="after")
    def _key_for_tokens(self) -> Self:
        needs = "token" in self.fields.values() or self.deidentify == "safe_harbor"
        if needs and self.token_key is None:
            raise ValueError("tokens need a key: add token_key: secret://file/NAME")
        if self.fields and self.deidentify == "safe_harbor":
            raise ValueError(
                "safe_harbor decides about every field: write `fields` or `deidentify`, not both"
            )
        return self


class MinimumNecessary:
    """What one API sees. A key that cannot be had stops every request: nothing leaves unprotected."""

    __slots__ = ("_key", "_options", "_ways")

    def __init__(self, options: ProtectOptions, key: bytes | None) -> None:
        self._options, self._key = options, key
        self._ways = tuple((tuple(path.split(".")), way) for path, way in options.fields.items())

    def of_request(self, case: Case) -> Case | Stop:
        """The case with its record as the receiver may see it."""
        options = self._options
        if not self._ways and options.deidentify == "no":
            return case
        if case.record is None:
            return WHOLE  # a whole message has no fields to protect
        if options.token_key is not None and self._key is None:
            return NO_KEY
        if options.deidentify == "safe_harbor":
            assert self._key is not None, "the options ask for a key"
            return replace(case, record=deidentified(case.record, self._key, case.now_us))
        return replace(case, record=self._protected(case.record))

    def _protected(self, record: Record) -> Record:
        values: dict[str, Any] = {**record.fields, "key": record.key}
        if record.ext:
            values["ext"] = record.ext
        for path, way in self._ways:
            _protect(values, path, way, self._key)
        key, own = values.pop("key", ""), values.pop("ext", NO_EXT)
        adds = tuple(name for name in record.adds if name in values)
        return Record(record.record, key, record.operation, values, own, adds)

    def of_attempt(self, now_us: Microseconds) -> Stop | None:  # noqa: ARG002
        """Each attempt sends the bytes that were made once."""
        return None


def _protect(values: dict[str, Any], path: tuple[str, ...], way: Way, key: bytes | None) -> None:
    """Change a field in place; what is inside of it is copied first."""
    name, rest = path[0], path[1:]
    if name not in values or values[name] is None:
        return
    value = values[name]
    if rest:
        if isinstance(value, Mapping):
            values[name] = inner = dict(value)
            _protect(inner, rest, way, key)
        elif isinstance(value, list | tuple):
            values[name] = items = [dict(each) for each in value if isinstance(each, Mapping)]
            for each in items:
                _protect(each, rest, way, key)
    elif way == "omit":
        del values[name]
    elif isinstance(value, str):
        values[name] = protector(way, key)(value)
    elif isinstance(value, list | tuple):
        less = protector(way, key)
        values[name] = [less(each) for each in value if isinstance(each, str)]
    else:
        del values[name]  # no way for what is no text: then it does not leave


def hides(options: ProtectOptions, field: str) -> bool:
    """Whether a receiver can no longer tell whom the field is about."""
    if options.deidentify == "safe_harbor":
        return True
    return options.fields.get(field) in ("omit", "mask", "token")


def rules(options: ProtectOptions, use: Use) -> Iterator[Problem]:
    """Ways that fit no field that is sent, or not its kind."""
    kinds = {sent.field: sent.kind for sent in use.fields}
    for path, way in options.fields.items():
        name, _, within = (path, "", "") if path in kinds else path.partition(".")
        if name not in kinds:
            text = f"`{name}` is in no `send_only` of a route to {use.api}: this protects nothing"
            yield Problem(use.place, "C186", text, "correct the name, or take it out")
        elif within == "" and kinds[name] not in FITS[way]:
            fitting = ", ".join(each for each, fit in FITS.items() if kinds[name] in fit)
            yield Problem(use.place, "C186", f"`{name}` cannot be protected by {way}", f"expected: {fitting}")
        elif within and kinds[name] not in ("part", "records"):
            yield Problem(use.place, "C186", f"`{name}` has nothing inside it", f"write {name}: {way}")
        elif name == "key" and way == "omit":
            yield Problem(use.place, "C186", "a record without its key cannot be sent", "key: token")


def build(options: ProtectOptions, secrets: Secrets) -> MinimumNecessary:
    """The policy. Looks the token's key up now; it stays the same for as long as this API's file does."""
    if options.token_key is None:
        return MinimumNecessary(options, None)
    try:
        key = secrets(options.token_key)
    except (LookupError, OSError, ValueError, BridgeError):
        return MinimumNecessary(options, None)
    return MinimumNecessary(options, key.encode() if len(key) >= KEY_MIN_CHARACTERS else None)


COMPONENT = Component(
    kind="policy",
    name="minimum_necessary",
    summary="A receiver sees the fields listed for it, and of these no more than it needs.",
    options=ProtectOptions,
    example="fields: {family: mask, birth_date: year}\n",
    marker="protect",
    letters=("m", ""),
    build=build,
    rules=rules,
    hides=hides,
)
