"""What a mapping reads of files that somebody names: messages, transaction sets, documents, rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from bridge.cli.author import files_in, read_file

if TYPE_CHECKING:
    from bridge.config.topology import Channel
    from bridge.formats.base import Format
    from bridge.formats.hl7v2 import Hl7Message
    from bridge.mapping.messages import Message
    from bridge.mapping.plan import Plan

MESSAGE_MAX_BYTES = 64 * 1024**2
START_BYTES = 64
"""So much of a file is enough to know it by."""
_BEGINS: Final = {
    b"ISA": "x12",
    b"UNA": "edifact",
    b"UNB": "edifact",
    **dict.fromkeys((b"MSH", b"FHS", b"BHS"), "hl7v2"),
}

EDI: Final = ("x12", "edifact")


def form_of(start: bytes) -> str | None:
    """The format of a file that says by its beginning what it is: X12, EDIFACT or HL7 v2; None for others."""
    return _BEGINS.get(start[:START_BYTES].lstrip(b"\xef\xbb\xbf\r\n\t \0\x0b")[:3])


def messages_in(files: tuple[Path, ...]) -> Iterator[tuple[str, Hl7Message]]:
    """Each message of some files and folders, by file and number."""
    from bridge.formats.hl7v2 import Hl7Message
    from bridge.formats.hl7v2_check import split_messages

    for path in files_in(files):
        for number, message in enumerate(split_messages(read_file(path)), 1):
            yield f"{path} #{number}", Hl7Message.read(message)


def inputs_in(
    files: tuple[Path, ...], plan: Plan, channel: str | None = None
) -> Iterator[tuple[str, Message]]:
    """What a mapping can read of some files: messages, transactions, records, documents, tables.

    With the name of a channel they are read as it reads them. Raises BadParameter for rows of fixed width
    without one, since the channel's file says where columns are.
    """
    from bridge.formats.edifact_file import messages_of
    from bridge.formats.x12 import X12Message
    from bridge.formats.xml_format import XmlFormat
    from bridge.formats.xml_options import XmlOptions
    from bridge.mapping.messages import read_message

    form = plan.format
    if channel is not None:
        yield from _as_channel(files, form, channel)
        return
    if form == "hl7v2":
        yield from messages_in(files)
        return
    if form == "fixed":
        said = "of rows of fixed width the channel says where columns are: name it with --channel"
        raise click.BadParameter(said, param_hint="MAPPING")
    if form == "xml":
        yield from _taken_apart(files, XmlFormat(XmlOptions.of(plan.xml)))
        return
    for path in files_in(files):
        body = read_file(path)
        if form in ("x12", "edifact"):
            within = X12Message.read_all(body) if form == "x12" else messages_of(body)
            for number, each in enumerate(within, 1):
                yield f"{path} #{number}", each
        else:
            yield str(path), read_message(form, body)


def channel_of(channel: str) -> Channel:
    """A channel of this folder. Raises BadParameter where there is none of this name."""
    from bridge.catalog import STANDARD
    from bridge.config.load import load
    from bridge.located import did_you_mean

    channels = load(Path(), STANDARD).channels
    if channel not in channels:
        hint = did_you_mean(channel, channels) or f"there are: {', '.join(channels) or 'none'}"
        raise click.BadParameter(f"no channel {channel!r} in this folder; {hint}", param_hint="--channel")
    return channels[channel]


def _as_channel(files: tuple[Path, ...], form: str, name: str) -> Iterator[tuple[str, Message]]:
    for place, message in _taken_apart(files, channel_of(name).reads()):
        if getattr(message, "form", form) not in (form, "json"):
            raise click.BadParameter(f"{name} is no channel of {form}", param_hint="--channel")
        yield place, message


def _taken_apart(files: tuple[Path, ...], reads: Format) -> Iterator[tuple[str, Message]]:
    """The messages of files, as a channel with this format takes them."""
    from bridge.formats.base import Unsplittable

    for path in files_in(files):
        splitter = reads.splitter(MESSAGE_MAX_BYTES)
        try:
            pieces = [*splitter.feed(read_file(path)), *splitter.end()]
        except Unsplittable as error:
            said = f"{path}, byte {error.offset_bytes}: {error} ({error.reason})"
            raise click.BadParameter(said, param_hint="FILES") from None
        for number, piece in enumerate(pieces, 1):
            yield f"{path} #{number}", reads.read(piece.body)


def none_of(form: str) -> str:
    """That there was none of what a format reads."""
    return "no HL7 v2 message" if form == "hl7v2" else f"nothing of {form}"
