"""``bridge files check``: what a file holds, and what is wrong with it, before any bridge takes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.batches import difference
from bridge.cli.main import ANSWER_IS_NO, DONE
from bridge.cli.message_files import START_BYTES, form_of, format_of

if TYPE_CHECKING:
    from bridge.formats.base import Format, Piece, Splitter

READ_BYTES: Final = 1024**2
MESSAGE_MAX_BYTES: Final = 256 * 1024**2
SHOWN_MAX_COUNT: Final = 50
_CLOSER: Final = {"x12": {"guide": {"by": "pyx12", "max_segments": 200_000}}, "edifact": {"strict": True}}
"""With a library that looks closer, where it is there."""


@click.command("check")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--channel", help="Read them as this channel of the folder does.")
@options.output_format
def check_command(files: tuple[Path, ...], channel: str | None, *, output: str) -> int:
    """Look files through as a channel would, without taking them: what they hold, and what is wrong.

    Counts and sums of trailers are held against what is there, and messages against what the channel is
    strict about. Without --channel a file of X12, EDIFACT or HL7 v2 is known by how it begins; X12 is held
    against its implementation guides where pyx12 is installed, EDIFACT read once more where pydifact is. What
    is wrong is told by place and code, and no value is shown. Exit status 1 where something is.

    \b
    bridge files check claims.837
    bridge files check inventory.csv --channel stock
    """
    found = [_looked(path, channel) for path in files]
    if output == "json":
        out.json(found)
    else:
        for each in found:
            _show(each)
    return DONE if all(each["ok"] for each in found) else ANSWER_IS_NO


def _looked(path: Path, channel: str | None) -> dict[str, Any]:
    from bridge.formats.base import Unsplittable

    reads = _by_its_beginning(path) if channel is None else format_of(channel)
    splitter, count, found, failed = reads.splitter(MESSAGE_MAX_BYTES), 0, [], None
    try:
        for pieces in _split(path, splitter):
            for piece in pieces:
                count += 1
                found += [
                    {"message": count, "byte": piece.offset_bytes, **each} for each in _wrong(reads, piece)
                ]
    except Unsplittable as error:
        failed = {"reason": error.reason, "byte": error.offset_bytes, "text": str(error)}
    batches = [
        {
            "batch": f"{batch.kind} {batch.control_id}".rstrip(),
            "messages": batch.last - batch.first + 1,
            "balance": batch.balance,
            "declared": dict(batch.declared),
            "found": dict(batch.found),
            "report": [asdict(each) for each in batch.differences],
        }
        for batch in splitter.batches
    ]
    held = any(each["held"] for each in found)
    ok = failed is None and not held and all(batch.is_right for batch in splitter.batches)
    return {
        "file": str(path),
        "ok": ok,
        "messages": count,
        "failed": failed,
        "batches": batches,
        "findings": found,
    }


def _by_its_beginning(path: Path) -> Format:
    """What a file is, by how it begins, read as closely as can be here."""
    from pydantic import ValidationError

    from bridge.catalog import STANDARD

    with path.open("rb") as file:
        form = form_of(file.read(START_BYTES))
    component = STANDARD.find("format", form or "")
    if component is None or component.build is None:
        said = f"{path} begins as no X12, EDIFACT or HL7 v2 does: say with --channel how it is read"
        raise click.BadParameter(said, param_hint="FILES")
    try:
        chosen = component.options.model_validate(_CLOSER.get(component.name, {}))
    except ValidationError:
        chosen = component.options.model_validate({})
    made: Format = component.build(chosen)
    return made


def _split(path: Path, splitter: Splitter) -> Iterator[Sequence[Piece]]:
    with path.open("rb") as file:
        while data := file.read(READ_BYTES):
            yield splitter.feed(data)
    yield splitter.end()


def _wrong(reads: Format, piece: Piece) -> Iterator[dict[str, Any]]:
    """What a channel would hold a message back for, or note with it; all that its guide does not allow."""
    objection = reads.objection(piece.body, ())
    if objection is None:
        return
    told = {"code": objection.code, "place": objection.path, "text": objection.text, "held": objection.holds}
    if objection.code != "guide":
        yield told
        return
    from bridge.formats.x12_guide import SEGMENTS_LIMIT, findings

    for each in findings(piece.body, segments_max=SEGMENTS_LIMIT):
        yield {**told, "place": f"{each.place}, segment {each.position}", "text": each.text}


def _show(found: dict[str, Any]) -> None:
    says = out.count(found["messages"], "message")
    if found["batches"]:
        says += f", {out.count(len(found['batches']), 'batch', 'batches')}"
    click.echo(f"{found['file']}: {says}{'' if found['ok'] else ', not as it should be'}")
    if (failed := found["failed"]) is not None:
        click.echo(f"  byte {failed['byte']:,}: {failed['text']} ({failed['reason']})")
    for batch in found["batches"]:
        for each in batch["report"]:
            click.echo(f"  {batch['batch']}: {difference(**each)}")
        if batch["balance"] == "no-trailer":
            click.echo(f"  {batch['batch']}: it has no trailer, and may be cut short")
    findings = found["findings"]
    for each in findings[:SHOWN_MAX_COUNT]:
        place = f" {each['place']}" if each["place"] else ""
        noted = "" if each["held"] else "; it would be taken all the same"
        at = f"message {each['message']} at byte {each['byte']:,}"
        click.echo(f"  {at}:{place}: {each['text']} ({each['code']}){noted}")
    if len(findings) > SHOWN_MAX_COUNT:
        click.echo(f"  and {len(findings) - SHOWN_MAX_COUNT:,} more; --format json has them all")
