"""``bridge batches --sent``: files that were collected of many deliveries, their totals, what their receivers
said of them, and what waits."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import click

from bridge.cli import output as out
from bridge.cli.known import refuse_unknown
from bridge.cli.main import ANSWER_IS_NO, DONE
from bridge.cli.reading import read

if TYPE_CHECKING:
    from bridge.journal.collections import Collection, Gathered


def tell_sent(journal_url: str | None, api: str | None, limit: int, output: str) -> int:
    """Print them, the newest first. ANSWER_IS_NO where one was closed and is not written, or its receiver has
    not acknowledged it in time, or not taken all of it."""
    from bridge.journal.collections import newest_collections, waiting_for_files

    found = read(journal_url, newest_collections, api, limit)
    waiting = {
        name: each for name, each in read(journal_url, waiting_for_files).items() if api in (None, name)
    }
    if not found and not waiting:
        refuse_unknown(journal_url, api=api)
    if output == "json":
        out.json({"files": [_as_json(each) for each in found], "waiting": _waiting_as_json(waiting)})
    else:
        _tell(found, waiting)
    wrong = any(each.written_at_us is None or _is_overdue(each) for each in found)
    return ANSWER_IS_NO if wrong or any(each.acknowledged.startswith("rejected") for each in found) else DONE


def _is_overdue(each: Collection) -> bool:
    return each.acknowledged == "awaited" and (each.due_at_us or 0) <= time.time() * 1e6


def _said(each: Collection) -> str:
    """What its receiver said of a file."""
    if each.acknowledged != "awaited":
        return f"{each.acknowledged} ({each.codes})" if each.codes else each.acknowledged
    due = out.moment(each.due_at_us or 0)
    return f"overdue since {due}" if _is_overdue(each) else f"awaited until {due}"


def _tell(found: list[Collection], waiting: dict[str, Gathered]) -> None:
    if found:
        rows = (
            (
                each.number,
                f"{each.api}\nclosed {out.minute(each.closed_at_us)}\nby {each.why}",
                f"{each.name}\n{each.size_bytes:,} bytes\n{_written(each)}",
                "\n".join(f"{out.figure(value)} {_named(name)}" for name, value in _totals(each).items()),
            )
            for each in found
        )
        out.table("", ["file", "API", "name", "holds"], rows, right=("file",))
    else:
        click.echo("no file was collected")
    for each in found:
        if each.acknowledged:
            click.echo(f"{each.api}: file {each.number}, control number {each.control}: {_said(each)}")
    for name, waits in waiting.items():
        click.echo(f"{name}: {waits.count} wait for its next file, since {out.moment(waits.oldest_at_us)}")


def _totals(each: Collection) -> dict[str, str]:
    found: dict[str, str] = json.loads(each.totals or "{}")
    return found


def _written(each: Collection) -> str:
    at_us = each.written_at_us
    return "not written yet" if at_us is None else f"written {out.minute(at_us)}"


def _named(total: str) -> str:
    """What a total is of, as in ``amount`` of ``sum.amount``."""
    return total.removeprefix("sum.")


def _as_json(each: Collection) -> dict[str, Any]:
    return {
        "file": each.number,
        "api": each.api,
        "closed": out.moment(each.closed_at_us),
        "by": each.why,
        "count": each.count,
        "totals": _totals(each),
        "name": each.name,
        "size_bytes": each.size_bytes,
        "sha256": each.sha256.hex(),
        "written": None if each.written_at_us is None else out.moment(each.written_at_us),
        "control_number": each.control,
        "acknowledged": each.acknowledged,
        "acknowledged_at": None if each.acknowledged_at_us is None else out.moment(each.acknowledged_at_us),
        "due": None if each.due_at_us is None else out.moment(each.due_at_us),
        "overdue": _is_overdue(each),
        "codes": each.codes,
    }


def _waiting_as_json(waiting: dict[str, Gathered]) -> dict[str, Any]:
    return {
        name: {"count": each.count, "since": out.moment(each.oldest_at_us)} for name, each in waiting.items()
    }
