"""What counts as a disclosure of a delivery that the journal still has: that it went, or may have, and about
whom.

The first patient of a delivery stands in its row. Further ones, as a merge has, stand among the search keys
of its message, under a name that no channel can give.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Text,
    and_,
    case,
    cast,
    literal,
    literal_column,
    not_,
    or_,
    select,
)

from bridge.delivery.outcomes import COLLECTED, MAY_HAVE_LEFT, NOT_CALLED, NOTHING_LEFT, NOTHING_LEFT_TLS
from bridge.delivery.state import DeliveryState
from bridge.journal.schema import attempts, deliveries, search_keys
from bridge.journal.statements import insert_rows

_A, _D, _K = attempts.c, deliveries.c, search_keys.c
_WHOSE: Final = "delivery "
"""What the name begins with under which a further patient of a delivery stands; its number follows."""
STOPPED: Final = "!"
"""What stands in the text of what policies said behind the one that stopped an attempt."""


def _words(words: Iterable[str]) -> list[ColumnElement[str]]:
    # In the text of the statement, since a prepared one takes no list; all are words of ours.
    return [literal_column(f"'{word}'") for word in sorted(map(str, words))]


_COLLECTING: Final = deliveries.alias("collecting")
_IN_NO_FILE: Final = (
    select(_COLLECTING.c.id)
    .where(
        _COLLECTING.c.id == _A.delivery_id,
        _COLLECTING.c.state.in_(_words((DeliveryState.ACCEPTED, DeliveryState.SUPPRESSED))),
    )
    .exists()
)
"""Of what waits for the file that it goes into with others, and of what was left out of it."""
WENT: Final[ColumnElement[bool]] = and_(
    not_(and_(_A.reason == COLLECTED, _IN_NO_FILE)),
    or_(
        _A.verdict.in_(_words(MAY_HAVE_LEFT)),
        and_(
            _A.verdict.not_in(_words(NOT_CALLED)),
            not_(_A.verdicts.contains(STOPPED)),
            or_(
                _A.status.is_not(None),
                and_(_A.reason.not_in(_words(NOTHING_LEFT)), not_(_A.reason.startswith(NOTHING_LEFT_TLS))),
            ),
        ),
    ),
)
"""Whether an attempt was sent, or may have been. What a policy or a missing credential stopped was not."""

OUTCOME: Final[ColumnElement[str]] = case(
    (_D.state == str(DeliveryState.SUPPRESSED), "SENT, THEN SUPPRESSED"), else_=_D.state
)
"""What became of a delivery that went: its state, which alone would say of one that was stopped later that it
never did."""

ALSO_ABOUT: Final[ColumnElement[bool]] = and_(
    _K.message_id == _D.message_id, _K.name == literal(_WHOSE) + cast(_D.id, Text)
)
"""Joins a delivery with its further patients: the hash of each is that of the search key."""

_INSERT: Final = insert_rows(search_keys)


def first_of(patients: str) -> bytes | None:
    """The patient that stands in the delivery's row, of hashes in hexadecimal with blanks between."""
    return bytes.fromhex(patients.partition(" ")[0]) or None


def further_of(row: Mapping[str, Any], patients: str) -> Iterator[dict[str, Any]]:
    """Rows of `search_keys` for all patients but the first of a delivery."""
    for hashed in patients.split()[1:]:
        name = f"{_WHOSE}{row['id']}"
        yield {"hash": bytes.fromhex(hashed), "message_id": row["message_id"], "name": name}


def keep_further(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Write what `further_of` gave."""
    _INSERT.many(connection, rows)
