"""EDIFACT as a format: what the spine asks of the messages of a channel, which come in files."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from bridge.component import Component, Options
from bridge.formats.base import Header, Opened, ReadProblem, Rejected, Share, amount_of_one
from bridge.formats.edifact import EdifactMessage
from bridge.formats.edifact_file import EdifactFile
from bridge.formats.edifact_strict import need_library, objection

_FROM_MESSAGE: Final = "from-message"
_AROUND: Final = frozenset({"UNB", "UNG", "UNH", "UNT", "UNE", "UNZ"})
_IS_TEST: Final = "1"
"""UNB 0035: the interchange is a test."""


def _readable(name: str) -> str:
    """A character set in which what separates is one byte, the same as in ASCII."""
    try:
        if name == _FROM_MESSAGE or "UNB+:?'".encode(name) == b"UNB+:?'":
            return name
    except LookupError:
        pass
    raise ValueError(f"expected {_FROM_MESSAGE} or a character set, as in iso8859-1 or utf-8")


def _there(strict: bool) -> bool:
    if strict:
        need_library()
    return strict


class EdifactOptions(Options):
    """Options of the EDIFACT format."""

    charset: Annotated[str, AfterValidator(_readable)] = Field(
        _FROM_MESSAGE,
        description="The character set: `from-message` (UNB 0001: UNOA to UNOK, UNOW), or one that overrides "
        "it.",
    )
    strict: Annotated[bool, AfterValidator(_there)] = Field(
        False,
        description="Hold back a message in which anything is tolerated, that uses characters beyond its "
        "repertoire, or that pydifact reads otherwise. Needs the extra `edifact`.",
    )


class EdifactFormat:
    """One channel's EDIFACT: a `Format`."""

    def __init__(self, options: EdifactOptions) -> None:
        self.strict = options.strict
        self._codec = "" if options.charset == _FROM_MESSAGE else codecs.lookup(options.charset).name

    def header(self, body: bytes) -> Header:
        """Type (UNH 0065), references (UNB 0020, UNG 0048, UNH 0062), whether it is real (UNB 0035)."""
        message = self.read(body)
        if message.refused is not None:
            return Header()
        numbers = (message.value("UNB", 5), message.value("UNG", 5), message.value("UNH", 1))
        return Header(
            message_code_event=message.message_type,
            control_id="-".join(each.strip() for each in numbers if each).encode(),
            processing_id=b"T" if message.value("UNB", 11) == _IS_TEST else b"P",
            version=message.version.encode(),
            readable=True,
        )

    def read(self, body: bytes) -> EdifactMessage:
        """The message, with the UNB and UNG that it stands in."""
        return EdifactMessage.read(body, self._codec)

    def objection(self, body: bytes, tolerated: Sequence[str]) -> ReadProblem | None:  # noqa: ARG002
        """What of a message a strict channel does not take, as `edifact_strict` says."""
        return objection(body, self.read(body)) if self.strict else None

    def content(self, body: bytes) -> bytes:
        """Its type and the segments between UNH and UNT: those around it have new references and times."""
        return self.read(body).content(body, _AROUND)

    def shares(self, body: bytes) -> Mapping[str, Share]:
        """What an INVOIC asks for, as its lines come to it."""
        return amount_of_one(self.splitter(len(body) + 1), body)

    def rejects(
        self,
        rejected: Sequence[Rejected],
        opened: Callable[[], Opened],  # noqa: ARG002 - only rows are cut
    ) -> bytes:
        """Each message in its interchange."""
        return b"".join(each.body for each in rejected)

    def splitter(self, message_max_bytes: int) -> EdifactFile:
        """Interchanges, one after the other."""
        return EdifactFile(message_max_bytes)


COMPONENT = Component(
    kind="format",
    name="edifact",
    summary="EDIFACT interchanges in files: each message by itself, counts and totals held against it.",
    options=EdifactOptions,
    example="{}\n",
    takes="files",
    build=EdifactFormat,
)
