"""How often an API lets itself be called, as its answers say: RateLimit-Policy and RateLimit (a draft of the
IETF's httpapi group). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from bridge.delivery.outcomes import Advertised

WINDOW_MAX_S: Final = 86_400
QUOTA_MAX: Final = 1_000_000
_NUMBER: Final = re.compile(r';\s*([a-z]+)\s*=\s*"?([0-9]{1,9})"?')


def advertised(headers: Mapping[str, str]) -> Advertised | None:
    """What the API says of its limits, the strictest of several policies; None where it says nothing.

    ``headers`` have lower-case names. What cannot be read counts as not said.

    >>> advertised({"ratelimit-policy": '"default";q=10;w=1', "ratelimit": '"default";r=0;t=5'})
    Advertised(per_s=10.0, rest_s=5.0)
    >>> advertised({"ratelimit-policy": '"burst";q=100;w=60,"day";q=1000;w=86400'}).per_s < 0.02
    True
    """
    policy, left = headers.get("ratelimit-policy"), headers.get("ratelimit")
    if policy is None and left is None:
        return None
    rates = [
        values["q"] / values["w"]
        for values in _items(policy or "")
        if 0 < values.get("q", 0) <= QUOTA_MAX and 0 < values.get("w", 0) <= WINDOW_MAX_S
    ]
    rests = [
        float(min(values.get("t", 0), WINDOW_MAX_S)) for values in _items(left or "") if values.get("r") == 0
    ]
    if not rates and not rests:
        return None
    return Advertised(min(rates, default=None), max(rests, default=0.0))


def _items(text: str) -> list[dict[str, int]]:
    """The numbers of each item of a structured field (RFC 9651), by their names."""
    return [{name: int(value) for name, value in _NUMBER.findall(item)} for item in text[:1024].split(",")]
