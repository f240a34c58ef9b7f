"""``bridge files check``: what a file holds, and what is wrong with it, before any bridge takes it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.batches import difference
from bridge.cli.main import ANSWER_IS_NO, DONE
from bridge.cli.message_files import START_BYTES, channel_of, form_of
from bridge.runtime.file_reasons import EMPTY, REASONS, TOO_LARGE

if TYPE_CHECKING:
    from bridge.config.topology import Channel
    from bridge.formats.base import Format, Piece
    from bridge.runtime.files_apart import Whole
    from bridge.transports.collecting_options import FileOptions
    from bridge.units import SecretRef

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
    strict about. With --channel what it decodes is decoded, and its limits and types count. Without, a file
    of X12, EDIFACT or HL7 v2 is known by how it begins; X12 is held against its implementation guides where
    pyx12 is installed, EDIFACT read once more where pydifact is. What is wrong is told by place and code, and
    no value is shown. Exit status 1 where something is.

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


def _looked(path: Path, name: str | None) -> dict[str, Any]:
    from bridge.formats.base import Unsplittable
    from bridge.runtime.files_apart import Apart, Whole, decoders_of
    from bridge.transports.collecting_options import FileOptions

    channel = None if name is None else channel_of(name)
    reads = _by_its_beginning(path) if channel is None else channel.reads()
    options = None if channel is None else channel.source.options
    if not isinstance(options, FileOptions):  # a source of messages says nothing of files
        options = FileOptions.model_validate({"max_message": MESSAGE_MAX_BYTES})
    apart = Apart(reads, options, decoders_of(options, _secret), tempfile.TemporaryFile)
    count, found, failed, whole = 0, [], None, Whole()
    size_bytes = path.stat().st_size
    try:
        for count, entry, piece in apart.pieces(path.open("rb"), size_bytes, whole):
            place = {"message": count, "byte": piece.offset_bytes}
            wrong = ({**place, **each} for each in _wrong(reads, channel, piece))
            found += [{**each, "place": f"{entry} {each['place']}".strip()} for each in wrong]
    except Unsplittable as error:
        failed = {"reason": error.reason, "byte": error.offset_bytes, "text": str(error)}
    if failed is None and (reason := _refused(channel, options, size_bytes, whole)):
        failed = {"reason": reason, "byte": 0, "text": REASONS[reason]}
    batches = [
        {
            "batch": f"{batch.kind} {batch.control_id}".rstrip(),
            "messages": batch.last - batch.first + 1,
            "balance": batch.balance,
            "declared": dict(batch.declared),
            "found": dict(batch.found),
            "report": [asdict(each) for each in batch.differences],
        }
        for batch in (each.batch for each in whole.batches)
    ]
    held = any(each["held"] for each in found)
    ok = failed is None and not held and all(each.batch.is_right for each in whole.batches)
    return {
        "file": str(path),
        "ok": ok,
        "messages": count,
        "failed": failed,
        "batches": batches,
        "findings": found,
    }


def _secret(reference: SecretRef) -> str:
    from bridge.config.settings import settings

    return settings(os.environ).secrets.resolve(reference)


def _refused(channel: Channel | None, options: FileOptions, size_bytes: int, whole: Whole) -> str:
    """Why a file would not be taken though it can be taken apart; empty where it would."""
    from bridge.runtime.files_apart import NO_TOTALS, held_for

    if size_bytes > options.max_size:
        return TOO_LARGE
    if not whole.size_bytes:
        return EMPTY if options.empty == "refuse" else ""
    held = None if channel is None else held_for(channel, whole.batches)
    return NO_TOTALS if held is not None and held[0] == NO_TOTALS else ""


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


def _wrong(reads: Format, channel: Channel | None, piece: Piece) -> Iterator[dict[str, Any]]:
    """What a channel would hold a message back for, or note with it; all that its guide does not allow."""
    if channel is not None:
        from bridge.delivery.state import MessageState
        from bridge.runtime.intake import decide

        decision = decide(reads.header(piece.body), piece.body[:3], None, channel)
        if decision.state in (MessageState.REFUSED, MessageState.QUARANTINED):
            error = decision.error
            text = "This message type is not taken here." if error is None else error.text
            place = "" if error is None else error.location
            yield {"code": decision.reason, "place": place, "text": text, "held": True}
            return
    if (refused := reads.read(piece.body).refused) is not None:
        yield {"code": refused.code, "place": refused.path, "text": refused.text, "held": True}
        return
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
