"""Days as files and their records write them. Pure.

20261123   2026-11-23   2026/11/23   20261123T0130   261123
"""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Final

TEXT_MAX_CHARACTERS: Final = 64
_DAY: Final = re.compile(r"(\d{4})([-/]?)(\d{2})\2(\d{2})(?:\D.*|\d{2,})?", re.DOTALL)
_SHORT: Final = re.compile(r"\d{6}")
_CENTURY: Final = "20"


def day_of(text: str | None, written: str = "") -> date | None:
    """The day that a text gives, or begins with; None where it gives none.

    ``written`` is a form of `strptime` for those who write it otherwise. Six digits are of this century.

    >>> [str(day_of(each)) for each in ("20261123", "2026-11-23T01:30", "261123", "20261131", None)]
    ['2026-11-23', '2026-11-23', '2026-11-23', 'None', 'None']
    >>> str(day_of("23.11.2026", "%d.%m.%Y"))
    '2026-11-23'
    """
    text = (text or "").strip()[:TEXT_MAX_CHARACTERS]
    try:
        if written:
            return datetime.strptime(text, written).date()  # noqa: DTZ007 - a day has no zone
        if _SHORT.fullmatch(text):
            text = _CENTURY + text
        found = _DAY.fullmatch(text)
        return None if found is None else date(int(found[1]), int(found[3]), int(found[4]))
    except ValueError:
        return None
