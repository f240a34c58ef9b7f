"""One text for one value, so that a digest and a signature mean the same wherever they are made."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical(value: Any) -> bytes:
    """A value of text, whole numbers, truth, lists and keys as JSON in the one form of RFC 8785.

    >>> canonical({"b": 1, "a": ["é", None]}).decode()
    '{"a":["é",null],"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest_of(value: Any) -> str:
    """The SHA-256 of a value in that form, in hexadecimal digits."""
    return hashlib.sha256(canonical(value)).hexdigest()
