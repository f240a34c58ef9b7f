"""``bridge disclosures``: whose data went where, and whom a release or a time has touched."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.known import refuse_unknown
from bridge.cli.main import ANSWER_IS_NO, DONE
from bridge.cli.moments import past_us
from bridge.cli.reading import ask, read, with_facts

if TYPE_CHECKING:
    from bridge.journal.disclosures import Disclosure

HASH_SHOWN_CHARACTERS = 12


@click.command("disclosures")
@click.argument("patient", required=False)
@options.journal
@click.option(
    "--mapping", help="Made by this mapping: adt-admit, adt-admit@7, or the beginning of its digest."
)
@click.option("--api", help="Sent to this API.")
@click.option("--since", help="Sent from then on: 2h, or 2026-11-23T06:00 (local time).")
@click.option("--until", help="Sent before then.")
@click.option("--by-patient", is_flag=True, help="A line for each patient, not for each delivery.")
@click.option("--reveal", is_flag=True, help="Show who they are, from messages still there; written down.")
@click.option("--reason", default="", help="Why; needed with PATIENT and with --reveal, and written down.")
@options.output_format
def disclosures_command(
    patient: str | None,
    journal_url: str | None,
    *,
    by_patient: bool,
    reveal: bool,
    reason: str,
    output: str,
    **given: Any,
) -> int:
    """Say whose data went where, or whom a release or a time has touched.

    PATIENT is the key of a patient, authority and number; a number alone is looked for among messages that
    are still there. What retention has deleted is told as well. Who asks about a patient is written down,
    with the reason, by the node, which must run. Patients stand as hashes; --reveal shows their numbers.
    A merge is told of both its patients. What was stopped before it was sent is not told; what went and was
    stopped after that is, with the time at which it last went. Exit status 1 where nothing went anywhere.

    \b
    bridge disclosures NORTH:100234 --reason "request of the patient, 2026-117"
    bridge disclosures --mapping adt-admit@7 --by-patient
    bridge disclosures --since 2026-11-23T06:00 --until 2026-11-23T09:30
    """
    from bridge.journal.disclosures import Asked, disclosed, patients_of

    if patient is None and all(value is None for value in given.values()):
        raise click.UsageError("name a PATIENT, a --mapping, an --api, or a time")
    found: dict[str, bytes] = {}
    if patient is not None:
        ask(journal_url, "look", action="disclosures", subject="patient …", reason=reason)
        found = read(journal_url, with_facts(patients_of), patient)
        if len(found) > 1:
            click.echo(
                f"{len(found)} patients have this number; name one with its authority, as in NORTH:{patient}",
                err=True,
            )
    asked = Asked(
        None if patient is None else list(found.values()),
        given["mapping"],
        given["api"],
        past_us(given["since"], "--since", time.time()),
        past_us(given["until"], "--until", time.time()),
    )
    if reveal and patient is None:
        ask(journal_url, "look", action="disclosures", subject=_subject(given), reason=reason)
    rows = read(journal_url, lambda connection: list(disclosed(connection, asked)))
    if not rows:
        refuse_unknown(journal_url, api=asked.api)
    names = _names(journal_url, rows) if reveal else {}
    if by_patient:
        _by_patient(rows, names, output)
    else:
        _each(rows, names, output)
    return DONE if rows else ANSWER_IS_NO


def _subject(given: dict[str, Any]) -> str:
    return "patients of " + " ".join(f"{name}={value}" for name, value in given.items() if value is not None)


def _names(journal_url: str | None, rows: Iterable[Disclosure]) -> dict[str, str]:
    """Who the patients are, as their latest messages say that are still there."""
    from bridge.formats.hl7v2 import Hl7Message
    from bridge.journal.resolutions import body_of

    latest: dict[str, Disclosure] = {}
    for row in sorted(rows, key=lambda each: not each.replaced):
        if row.kept and row.patient:
            latest[row.patient] = row
    names = {}
    for hashed, row in latest.items():
        body = read(journal_url, body_of, row.message_id)
        if body is not None:
            found = Hl7Message.read(body).named("MRG" if row.replaced else "PID")
            sure = found and not (row.replaced and len(found) > 1)
            names[hashed] = found[0].field(1 if row.replaced else 3) if sure else "?"
    return names


def _shown(hashed: str, names: dict[str, str]) -> str:
    return names.get(hashed) or hashed[:HASH_SHOWN_CHARACTERS] or "nobody"


def _each(rows: Sequence[Disclosure], names: dict[str, str], output: str) -> None:
    if output == "json":
        told = [{**asdict(row), "revealed": names.get(row.patient)} for row in rows]
        out.json([{name: value for name, value in each.items() if name != "replaced"} for each in told])
        return
    out.table(
        "",
        ["when", "patient", "api", "operation", "mapping", "message", "delivery", "outcome"],
        [
            (
                out.moment(row.at_us),
                _shown(row.patient, names),
                row.api,
                row.operation,
                row.mapping,
                f"{row.message_id}" if row.kept else f"{row.message_id} (deleted)",
                row.delivery_id,
                row.outcome,
            )
            for row in rows
        ],
        right=("message", "delivery"),
    )
    deliveries, patients = (len({getattr(row, name) for row in rows}) for name in ("delivery_id", "patient"))
    click.echo(f"{out.count(deliveries, 'delivery', 'deliveries')} about {out.count(patients, 'patient')}")


def _by_patient(rows: Sequence[Disclosure], names: dict[str, str], output: str) -> None:
    grouped: dict[str, list[Disclosure]] = {}
    for row in rows:
        grouped.setdefault(row.patient, []).append(row)
    told = [
        {
            "patient": hashed,
            "revealed": names.get(hashed),
            "deliveries": len(some),
            "apis": sorted({row.api for row in some}),
            "messages": sorted({row.message_id for row in some}),
            "first_us": some[0].at_us,
            "last_us": some[-1].at_us,
        }
        for hashed, some in grouped.items()
    ]
    if output == "json":
        out.json(told)
        return
    out.table(
        "",
        ["patient", "deliveries", "apis", "first", "last", "messages"],
        [
            (
                _shown(hashed, names),
                len(some),
                ", ".join(sorted({row.api for row in some})),
                out.moment(some[0].at_us),
                out.moment(some[-1].at_us),
                " ".join(str(each) for each in sorted({row.message_id for row in some})[:10]),
            )
            for hashed, some in grouped.items()
        ],
        right=("deliveries",),
    )
    click.echo(out.count(len(grouped), "patient"))
