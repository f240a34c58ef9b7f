"""What stands beside a file that could not be taken, for whoever sent it: ``NAME.reason.json``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import orjson

from bridge.message import Microseconds
from bridge.transports.base import Fate


def told(channel: str, now_us: Callable[[], Microseconds]) -> Callable[[str, Fate], bytes]:
    """What is told of a file, for its name: why, where in it, and its number in the journal."""

    def tell(name: str, fate: Fate) -> bytes:
        at = datetime.fromtimestamp(now_us() / 1e6, UTC).isoformat(timespec="seconds")
        words = {
            "file": name,
            "channel": channel,
            "at": at,
            "reason": fate.reason,
            "text": fate.text,
            "place": fate.place,
            "number": fate.file_id,
        }
        return orjson.dumps(words, option=orjson.OPT_INDENT_2) + b"\n"

    return tell
