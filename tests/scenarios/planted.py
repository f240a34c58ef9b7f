"""Messages with words planted in every field, and the search for these words where none belongs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, inspect, text

from bridge.cli.story import HIDDEN

WORD = "KANARIE"
"""Stands in every field that may hold text."""
BIRTH, PHONE = "19470131", "5125559731"
SECRETS = (WORD, BIRTH, "1947-01-31", PHONE)
IDENTIFYING = "IDKANARI"
"""Stands in MSH-9 and MSH-10, which operators search by: their columns show what the sender put there."""
OWN_COLUMNS = frozenset(HIDDEN)
"""Where content belongs, in whichever table; these are the columns that no command shows."""
SENDERS_COLUMNS = {("messages", "message_type"), ("messages", "control_id")}

SEGMENTS = {"EVN": 7, "PID": 39, "PD1": 21, "NK1": 39, "PV1": 52, "PV2": 49, "DG1": 21, "IN1": 53, "ZPI": 9}
"""Segments with their number of fields in version 2.5.1; ZPI is a site's own."""
COMPONENTS = "^".join([WORD] * 8)


def message(control_id: str, *, message_type: str = "ADT^A01^ADT_A01", **fields: str) -> bytes:
    """A message with the word in each component of each field, but for ``fields`` as in ``PID_7="1"``."""
    header = dict.fromkeys(range(3, 22), COMPONENTS)
    header |= {4: WORD, 9: message_type, 10: control_id, 11: "P", 12: "2.5.1", 18: "UNICODE UTF-8"}
    rows = {"MSH": header} | {
        name: dict.fromkeys(range(1, count + 1), COMPONENTS) for name, count in SEGMENTS.items()
    }
    for place, value in fields.items():
        segment, _, number = place.partition("_")
        rows[segment][int(number)] = value
    head = "MSH|^~\\&|" + "|".join(rows.pop("MSH").values())
    lines = [head, *("|".join([name, *row.values()]) for name, row in rows.items())]
    return "\r".join(lines).encode() + b"\r"


def mapped(control_id: str, **fields: str) -> bytes:
    """A message that can be mapped."""
    key = {
        "PID_3": f"{WORD}1^^^{WORD}^MR",
        "PID_7": BIRTH,
        "PID_13": f"^^^^^^^^^^^{PHONE}",
        "PV1_19": f"{WORD}2^^^{WORD}^VN",
    }
    usual = {"PID_8": "F", "PV1_2": "I", "PV1_44": BIRTH, "PV1_45": BIRTH, "PID_29": "", "PID_30": "N"}
    return message(control_id, **{**key, **usual, **fields})


def other(number: int) -> dict[str, str]:
    """A patient of its own, so that one that is stuck does not stand in its way."""
    return {"PID_3": f"{WORD}{number}^^^{WORD}^MR"}


@dataclass(slots=True)
class Seen:
    """Texts by where they were seen."""

    texts: dict[str, str] = field(default_factory=dict)

    def hits(self, words: Iterable[str], *, but: Iterable[str] = ()) -> list[str]:
        """Where a word stands; what stands around it is no business of a test's output either."""
        return [
            f"{where}: {word}"
            for where, said in self.texts.items()
            if where not in but
            for word in words
            if re.search(re.escape(word), said, re.IGNORECASE)
        ]


def columns(connection: Connection) -> Iterator[tuple[tuple[str, str], str]]:
    """All values of each column of the journal, as one text."""
    tables = inspect(connection)
    for table in tables.get_table_names():
        for column in tables.get_columns(table):
            values = connection.execute(text(f'SELECT "{column["name"]}" FROM "{table}"')).scalars()
            yield (table, column["name"]), "\n".join(map(_as_text, values))


def _as_text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
