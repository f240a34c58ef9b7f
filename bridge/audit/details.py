"""What else is known of a change of state, as the short canonical JSON that stands with it. Never a payload.

Written out by hand for the same reason as in `entries`, and held by the same test.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256
from json.encoder import encode_basestring as _quoted

_TYPE = re.compile(r"[A-Za-z0-9]{1,4}(\^[A-Za-z0-9]{3}(\^[A-Za-z0-9_]{3,7})?)?")


@lru_cache(maxsize=1024)
def plain_type(message_type: str) -> str:
    """A type of messages; empty for what looks like none: it may be anything, and a chain is kept for ever.

    >>> plain_type("ADT^A01^ADT_A01"), plain_type("MARLOW^INES")
    ('ADT^A01^ADT_A01', '')
    """
    return message_type if _TYPE.fullmatch(message_type) else ""


def digest(payload: bytes) -> str:
    """What stands for a payload: its SHA-256, in hexadecimal."""
    return sha256(payload).hexdigest()


def of_receipt(channel: str, message_type: str, payload: str, trace_id: bytes) -> str:
    """Of a message that came: on which channel, what it calls itself, and the digest of its bytes."""
    return (
        f'{{"channel":{_quoted(channel)},"payload":"{payload}","trace":"{trace_id.hex()}",'
        f'"type":{_quoted(message_type)}}}'
    )


def of_delivery(  # noqa: PLR0913, PLR0917 - each a word of the row
    route: str,
    api: str,
    operation: str,
    mapping: str,
    mapping_digest: str,
    contract_digest: str,
    verdicts: str,
    payload: str,
    patient: str,
) -> str:
    """Of a delivery as it was made, or made anew: what it sends and to where, by which files, and what
    policies said. ``patient`` is the keyed hash of whom it is about, in hexadecimal; of a merge both, with a
    blank between."""
    return (
        f'{{"api":{_quoted(api)},"contract":{_quoted(contract_digest)},"mapping":{_quoted(mapping)},'
        f'"mapping_digest":{_quoted(mapping_digest)},"operation":{_quoted(operation)},"patient":"{patient}",'
        f'"payload":"{payload}","route":{_quoted(route)},"verdicts":{_quoted(verdicts)}}}'
    )


def of_attempt(number: int, status: int | None, verdict: str, verdicts: str) -> str:
    """Of an attempt that ended: which it was, what came back, and what every policy said."""
    return (
        f'{{"attempt":{number},"status":{"null" if status is None else status},"verdict":{_quoted(verdict)},'
        f'"verdicts":{_quoted(verdicts)}}}'
    )
