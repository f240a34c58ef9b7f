"""Which event a record is: by its kind, by what is asked for, and by what it says of its course. Pure.

The first row that fits decides. A site's own rows come before these. Only fields that leave are looked at, so
that a type never tells what its event does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Self, get_args

from pydantic import AfterValidator, Field, field_validator, model_validator

from bridge.canonical.records import RECORDS
from bridge.component import Options
from bridge.located import did_you_mean
from bridge.message import OPERATIONS, Operation

TYPE_MAX_CHARACTERS: Final = 120
RULES_MAX_COUNT: Final = 200
TYPE: Final = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)+")
"""A type is words with dots between: the first says about what. Each may stand in a subject of NATS."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: ``operations`` empty takes all, ``where`` gives for a field the beginnings of its values; a
    value that ends with ``*`` stands for all that begin so."""

    record: str
    operations: frozenset[str]
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    type: str = ""

    def fits(self, record: str, operation: str, leaving: Mapping[str, Any]) -> bool:
        """Whether a record is of this row."""
        return (
            self.record == record
            and (not self.operations or operation in self.operations)
            and all(_is_one_of(leaving.get(name), values) for name, values in self.where.items())
        )


def _is_one_of(value: object, values: tuple[str, ...]) -> bool:
    return isinstance(value, str) and any(
        value.startswith(each[:-1]) if each.endswith("*") else value == each for each in values
    )


_TABLE: Final = """
encounter              cancel,delete  -                                      encounter.cancelled
encounter              merge          -                                      encounter.merged
encounter              -              status=cancelled,entered-in-error      encounter.cancelled
encounter              -              status=planned                         encounter.planned
encounter              -              status=arrived                         encounter.arrived
encounter              -              status=in-progress;class=inpatient     encounter.admitted
encounter              -              status=in-progress                     encounter.started
encounter              -              status=onleave                         encounter.on-leave
encounter              -              status=finished                        encounter.discharged
appointment            cancel,delete  -                                      appointment.cancelled
appointment            -              status=cancelled,entered-in-error      appointment.cancelled
appointment            -              status=booked,proposed,pending         appointment.booked
appointment            -              status=arrived                         appointment.arrived
appointment            -              status=fulfilled                       appointment.fulfilled
appointment            -              status=noshow                          appointment.missed
order                  cancel,delete  -                                      order.cancelled
order                  -              status=cancelled,entered-in-error      order.cancelled
order                  -              status=final                           order.completed
order                  -              status=active                          order.placed
result                 cancel,delete  -                                      result.withdrawn
result                 -              status=cancelled,entered-in-error      result.withdrawn
result                 -              status=final                           result.finalized
result                 -              status=amended,corrected               result.corrected
result                 -              status=preliminary                     result.reported
document               cancel,delete  -                                      document.withdrawn
document               -              status=cancelled,entered-in-error      document.withdrawn
document               -              status=final                           document.signed
document               -              status=amended,corrected               document.corrected
immunization           cancel,delete  -                                      immunization.withdrawn
immunization           -              status=entered-in-error                immunization.withdrawn
immunization           -              status=completed                       immunization.given
immunization           -              status=not-done                        immunization.not-given
charge                 cancel,delete  -                                      charge.reversed
charge                 -              kind=credit                            charge.credited
charge                 -              kind=adjustment                        charge.adjusted
charge                 -              kind=charge                            charge.posted
claim                  cancel,delete  -                                      claim.voided
claim                  upsert,replace -                                      claim.submitted
claim_status           -              category=F*                            claim.adjudicated
claim_status           -              category=P*                            claim.pended
claim_status           -              category=A*                            claim.acknowledged
claim_status           -              category=R*                            claim.information-requested
claim_status           -              -                                      claim.status-changed
remittance             cancel,delete  -                                      remittance.withdrawn
remittance             -              -                                      remittance.received
invoice                cancel,delete  -                                      invoice.cancelled
invoice                -              kind=credit                            invoice.credited
invoice                -              -                                      invoice.received
purchase_order         cancel,delete  -                                      purchase-order.cancelled
purchase_order         -              status=cancelled                       purchase-order.cancelled
purchase_order         -              status=sent                            purchase-order.sent
purchase_order         -              status=acknowledged                    purchase-order.acknowledged
purchase_order         -              status=received                        purchase-order.received
purchase_order         -              -                                      purchase-order.changed
goods_receipt          cancel,delete  -                                      goods.returned
goods_receipt          -              -                                      goods.received
inventory_consumption  cancel,delete  -                                      inventory.consumption-withdrawn
inventory_consumption  -              reason=return                          inventory.returned
inventory_consumption  -              reason=transfer                        inventory.transferred
inventory_consumption  -              reason=adjustment                      inventory.adjusted
inventory_consumption  -              reason=waste                           inventory.wasted
inventory_consumption  -              -                                      inventory.consumed
inventory_balance      -              -                                      inventory.counted
contract_price         cancel,delete  -                                      contract-price.ended
contract_price         -              -                                      contract-price.changed
supplier               -              status=blocked                         supplier.blocked
shift                  cancel,delete  -                                      shift.cancelled
shift                  -              status=cancelled                       shift.cancelled
shift                  -              status=worked                          shift.worked
shift                  -              status=planned                         shift.planned
workforce              -              status=terminated                      workforce.left
gl_posting             cancel,delete  -                                      ledger.reversed
gl_posting             -              status=reversed                        ledger.reversed
gl_posting             -              -                                      ledger.posted
gl_account             -              -                                      ledger.account-changed
cost_center            -              -                                      ledger.cost-center-changed
"""


def _row(line: str) -> Row:
    record, operations, where, named = line.split()
    conditions = [] if where == "-" else [each.split("=") for each in where.split(";")]
    return Row(
        record,
        frozenset() if operations == "-" else frozenset(operations.split(",")),
        {name: tuple(values.split(",")) for name, values in conditions},
        named,
    )


TYPES: Final[tuple[Row, ...]] = tuple(_row(line) for line in _TABLE.strip().splitlines())
"""The rows of the standard table. What none of them is of is `otherwise`."""


def otherwise(record: str, operation: str) -> str:
    """The type of what no row is for.

    >>> otherwise("patient", "merge"), otherwise("cost_center", "upsert")
    ('patient.merged', 'cost-center.updated')
    """
    about = record.replace("_", "-")
    done = {"merge": "merged", "cancel": "cancelled", "delete": "removed", "replace": "replaced"}
    return f"{about}.{done.get(operation, 'updated')}"


def type_of(
    record: str, operation: str, leaving: Mapping[str, Any], own: Iterable[Row] = (), *, prefix: str = ""
) -> str:
    """The type of an event. ``leaving`` are the fields that leave, ``own`` the rows of a site.

    >>> type_of("encounter", "upsert", {"status": "finished"})
    'encounter.discharged'
    >>> type_of("encounter", "upsert", {"ward": "3W"}, prefix="org.example.")
    'org.example.encounter.updated'
    """
    for rows in (own, TYPES):
        for row in rows:
            if row.fits(record, operation, leaving):
                return prefix + row.type
    return prefix + otherwise(record, operation)


def event_type(text: str) -> str:
    """A type as files write it. Raises ValueError."""
    if not TYPE.fullmatch(text) or len(text) > TYPE_MAX_CHARACTERS:
        raise ValueError("expected words with dots between, in small letters, as in encounter.discharged")
    return text


def _record(text: str) -> str:
    if text not in RECORDS:
        raise ValueError("expected the name of a record, as in encounter; `bridge records` lists them")
    return text


def _listed(value: object) -> object:
    return value.split() if isinstance(value, str) else value


class TypeRule(Options):
    """A row of a site's own, before those of the standard table."""

    record: Annotated[str, AfterValidator(_record)] = Field(description="The kind of record.")
    operations: tuple[Operation, ...] = Field(
        (), description="What is asked for; left out, whatever it is.", max_length=len(get_args(Operation))
    )
    where: Mapping[str, tuple[str, ...]] = Field(
        default_factory=dict,
        max_length=8,
        description="By field, the values that it may have, as in `{status: [finished]}`; `F*` stands for "
        "all that begin so. Only fields of `send_only` are looked at.",
    )
    type: Annotated[str, AfterValidator(event_type)] = Field(description="The type of such events.")

    @field_validator("where", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return {name: _listed(values) for name, values in value.items()} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _fields_of_the_record(self) -> Self:
        known = [info.alias or name for name, info in RECORDS[self.record].model_fields.items()]
        for name in self.where:
            if name not in known:
                hint = did_you_mean(name, known)
                raise ValueError(f"where: {self.record} has no field {name}" + (f"; {hint}" if hint else ""))
        return self

    @property
    def row(self) -> Row:
        """The same, as the table has it."""
        return Row(self.record, frozenset(self.operations), dict(self.where), self.type)


def types_page() -> str:
    """The standard table, as a page shows it."""
    lines = ["| record | asked for | where | type |", "|---|---|---|---|"]
    for row in TYPES:
        asked = ", ".join(each for each in OPERATIONS if each in row.operations) or "anything"
        where = "; ".join(f"{name}: {', '.join(values)}" for name, values in row.where.items())
        lines.append(f"| {row.record} | {asked} | {where} | `{row.type}` |")
    return "\n".join(lines) + "\n"
