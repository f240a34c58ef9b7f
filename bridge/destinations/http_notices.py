"""What an API says of its own end in its answers: Deprecation (RFC 9745) and Sunset (RFC 8594). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from bridge.delivery.outcomes import Ending
from bridge.message import Microseconds

_DATE: Final = re.compile(r"@(-?[0-9]{1,12})")


def ending(headers: Mapping[str, str]) -> Ending | None:
    """When the API says that it was or is deprecated, and that it ends; None where it says nothing.

    ``headers`` have lower-case names. A date that cannot be read counts as said, without a time.

    >>> ending({"deprecation": "@1688169599", "sunset": "Sun, 11 Nov 2018 23:59:59 GMT"})
    Ending(deprecated_at_us=1688169599000000, sunset_at_us=1541980799000000)
    >>> ending({"content-type": "text/html"}) is None
    True
    """
    deprecated, sunset = headers.get("deprecation"), headers.get("sunset")
    if deprecated is None and sunset is None:
        return None
    found = None if deprecated is None else _DATE.fullmatch(deprecated.strip())
    deprecated_at_us = None if found is None else int(found[1]) * 1_000_000
    return Ending(deprecated_at_us, None if sunset is None else _http_date_us(sunset))


def _http_date_us(text: str) -> Microseconds | None:
    try:
        at = parsedate_to_datetime(text.strip())
        at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        return int(at.timestamp()) * 1_000_000
    except (ValueError, OverflowError):
        return None
