"""Whether every change of state has its row in the chain, joined in both directions.

The journal knows of changes by other ways than their steps: messages and deliveries that are there, the state
they are in, and attempts that were counted. Each is held against the steps, and the steps against the chain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select

from bridge.audit.report import Report
from bridge.delivery.state import DeliveryState
from bridge.journal.schema import deliveries, messages, transitions


@dataclass(frozen=True, slots=True)
class Completeness:
    """How many changes of state the journal knows of, and what of them has no row that the chain covers.

    ``not_begun`` are messages and deliveries whose first step is not there, ``broken`` steps that do not go
    on from the one before, ``other_state`` rows in a state that no last step led to, ``not_started``
    deliveries with another number of attempts than steps into one, ``of_nothing`` steps of what is not there,
    ``wrong`` steps that the chain finds missing, changed or inserted.
    """

    changes: int
    not_begun: int
    broken: int
    other_state: int
    not_started: int
    of_nothing: int
    wrong: int

    @property
    def complete(self) -> bool:
        """Whether nothing is missing, in either direction."""
        return self.ratio == 1.0

    @property
    def ratio(self) -> float:
        """Changes with their row, to all changes: 1.0 where nothing is missing."""
        lacking = sum((self.not_begun, self.broken, self.other_state, self.not_started, self.of_nothing))
        return (
            1.0 if not lacking + self.wrong else max(0.0, 1.0 - (lacking + self.wrong) / max(1, self.changes))
        )


_T, _M, _D = transitions.c, messages.c, deliveries.c


def completeness(connection: Connection, report: Report) -> Completeness:
    """Hold the journal's states against its steps; ``report`` is what a verification said of the chain at the
    same moment."""

    def count(query: Select[Any]) -> int:
        return int(connection.execute(query).scalar_one())

    return Completeness(
        report.covered,
        count(_without_first(_M.id, _T.delivery_id.is_(None), _T.message_id == _M.id))
        + count(_without_first(_D.id, _T.delivery_id == _D.id, _T.message_id == _D.message_id)),
        count(_BROKEN),
        count(_other_state(_M.id, _M.state, _T.delivery_id.is_(None), _T.message_id == _M.id))
        + count(_other_state(_D.id, _D.state, _T.delivery_id == _D.id, _T.message_id == _D.message_id)),
        count(_NOT_STARTED),
        count(_OF_NOTHING),
        sum(1 for each in report.findings if each.where.startswith("step ")),
    )


def _without_first(id_: ColumnElement[int], *of_it: ColumnElement[bool]) -> Select[int]:
    first = select(_T.id).where(*of_it, _T.from_state.is_(None))
    return select(func.count(id_)).where(~first.exists())


def _other_state(
    id_: ColumnElement[int], state: ColumnElement[str], *of_it: ColumnElement[bool]
) -> Select[int]:
    last = select(_T.to_state).where(*of_it).order_by(_T.id.desc()).limit(1).scalar_subquery()
    return select(func.count(id_)).where(or_(last != state, last.is_(None)))


_BEFORE = (
    select(
        _T.from_state,
        func.lag(_T.to_state)
        .over(partition_by=(_T.message_id, func.coalesce(_T.delivery_id, 0)), order_by=_T.id)
        .label("before"),
    )
).subquery()
_BROKEN: Final = select(func.count()).where(
    or_(
        _BEFORE.c.from_state != _BEFORE.c.before,
        and_(_BEFORE.c.from_state.is_(None), _BEFORE.c.before.is_not(None)),
        and_(_BEFORE.c.from_state.is_not(None), _BEFORE.c.before.is_(None)),
    )
)
_STARTS = (
    select(func.count(_T.id))
    .where(
        _T.message_id == _D.message_id,
        _T.delivery_id == _D.id,
        _T.to_state == str(DeliveryState.IN_FLIGHT),
    )
    .scalar_subquery()
)
_NOT_STARTED: Final = select(func.count(_D.id)).where(_D.attempts != _STARTS)
_OF_NOTHING: Final = (
    select(func.count(_T.id))
    .outerjoin(messages, _M.id == _T.message_id)
    .outerjoin(deliveries, _D.id == _T.delivery_id)
    .where(or_(_M.id.is_(None), and_(_T.delivery_id.is_not(None), _D.id.is_(None))))
)
