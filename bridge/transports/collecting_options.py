"""What a channel file says of files, wherever they lie: which, when they are finished, and what follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from bridge.component import Options
from bridge.decoders.base import Decoder
from bridge.decoders.gzip import GzipOptions
from bridge.decoders.pgp import PgpOptions
from bridge.decoders.text import TextOptions
from bridge.decoders.zip import ZipOptions
from bridge.transports.watching import TEMPORARY, Finished, Order, Rules
from bridge.units import DurationS, SecretRef, SizeBytes

PATTERNS_MAX_COUNT = 64
_Patterns = Annotated[tuple[str, ...], Field(max_length=PATTERNS_MAX_COUNT)]


def _marker(text: str) -> str:
    if not text.startswith(".") or "/" in text or len(text) < 2:
        raise ValueError("expected an ending, as in .ok")
    return text


class Decode(Options):
    """One decoder, by its name."""

    gzip: GzipOptions | None = Field(None, description="Compressed with gzip.")
    zip: ZipOptions | None = Field(None, description="A ZIP archive; each of its files is read.")
    text: TextOptions | None = Field(None, description="Text in another character set, as EBCDIC.")
    pgp: PgpOptions | None = Field(None, description="Encrypted with PGP; needs GnuPG and the extra `pgp`.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self._given()) != 1:
            raise ValueError("expected one decoder: gzip, zip, text or pgp")
        return self

    def _given(self) -> list[GzipOptions | ZipOptions | TextOptions | PgpOptions]:
        return [each for each in (self.gzip, self.zip, self.text, self.pgp) if each is not None]

    def decoder(self, secrets: Callable[[SecretRef], str]) -> Decoder:
        """What does it. Raises SecretUnavailable."""
        [options] = self._given()
        return options.opened(secrets) if isinstance(options, PgpOptions) else options


class FileOptions(Options):
    """What every source of files may say of what comes."""

    decode: tuple[Decode, ...] = Field(
        (),
        max_length=4,
        description="What must be undone before the format is read, in this order, as in "
        "`[{pgp: {home: /etc/bridge/gnupg}}, {gzip: {}}]`. An archive within an archive is opened only where "
        "it stands here twice.",
    )
    max_decoded: SizeBytes = Field(
        8 * 1024**3, gt=0, description="A file that decodes to more in all is not taken."
    )
    max_ratio: int = Field(
        100, gt=0, le=100_000, description="A file that decodes to so many times its size is not taken."
    )

    max_size: SizeBytes = Field(4 * 1024**3, gt=0, description="A larger file is not taken.")
    max_message: SizeBytes = Field(
        16 * 1024**2, gt=0, description="A file with a larger message is not taken."
    )
    empty: Literal["refuse", "take"] = Field(
        "refuse",
        description="What an empty file is: refuse (a mistake, which goes where errors go), or take (all is "
        "well, and there was nothing to say).",
    )
    resent: Literal["refuse", "take", "quarantine"] = Field(
        "refuse",
        description="What becomes of a file that came before: refuse (it goes where errors go), take (its "
        "messages come once more, and those that are repeats are known as such), or quarantine (kept, until "
        "a person decides).",
    )
    resent_by: Literal["name_and_content", "content"] = Field(
        "name_and_content",
        description="By what a file is known again: name, size and SHA-256, or without the name.",
    )
    resent_within: DurationS = Field(
        30 * 86400.0, gt=0, description="How long a file is known after it came."
    )
    keep_for: DurationS = Field(
        30 * 86400.0,
        gt=0,
        description="How long the bytes of a file are kept for a replay, once its messages are journaled.",
    )
    expect_every: DurationS | None = Field(
        None, gt=0, description="A file is missed when none has come for this long: an alert."
    )


class CollectingOptions(FileOptions):
    """What sources that look for files may say."""

    include: _Patterns = Field(
        ("*",),
        min_length=1,
        description="Names that are taken, as in *.hl7; a pattern with `/` is for the path below the "
        "folder, any other for its last part.",
    )
    exclude: _Patterns = Field((), description="Names that are not taken all the same.")
    temporary: _Patterns = Field(
        TEMPORARY,
        description="Names of files that are still written, and get another name when they are whole.",
    )
    depth: int = Field(0, ge=0, le=8, description="How many folders deep files are looked for; 0 for one.")
    finished: Finished = Field(
        "stable",
        description="When a file is whole: stable (size and time as they were, over two looks and "
        "`stable_for`), marker (another file says so), or renamed (as soon as its name is not temporary).",
    )
    stable_for: DurationS = Field(
        5.0, ge=0, description="With `finished: stable`: how long a file must be as it was."
    )
    markers: Annotated[
        tuple[Annotated[str, AfterValidator(_marker)], ...], Field(min_length=1, max_length=8)
    ] = Field(
        (".ok",),
        description="With `finished: marker`: endings of markers. For x.csv it is x.csv.ok or x.ok, in "
        "whatever capitals.",
    )
    order: Order = Field("name", description="Which of several finished files comes first: by name or time.")
    hold_back: DurationS = Field(
        60.0,
        ge=0,
        description="How long a file that is not finished holds back those that come after it; 0s for not.",
    )
    poll: DurationS = Field(5.0, gt=0, le=86400, description="How often is looked for files.")
    after: Literal["move", "delete", "keep"] = Field(
        "move",
        description="What becomes of a file that was taken: move (to `done`), delete, or keep (it stays, and "
        "one that failed too; for a folder that no other bridge takes from).",
    )
    done: str = Field("done", min_length=1, description="Where taken files go with `after: move`.")
    errors: str = Field(
        "errors",
        min_length=1,
        description="Where files go that could not be taken, each with a `.reason.json` that says why.",
    )
    answers: str | None = Field(
        None,
        min_length=1,
        description="Where an answer to each file goes, once its messages are translated: of HL7 v2 a batch "
        "of acknowledgements (.ack), of X12 999 and TA1 (.999), of EDIFACT CONTRL (.contrl), of all else a "
        "receipt (.receipt.json). "
        "Without it none is written.",
    )
    rejects: str | None = Field(
        None,
        min_length=1,
        description="Where what waits for a person of a file goes as well, as a file of its own kind that "
        "its sender can correct and send again, with the reasons beside it. Without it none is written.",
    )
    claim: bool = Field(
        True,
        description="Whether a file is first moved out of sight, into `.bridge-claims`, so that several "
        "bridges may take from one place, and no other file that comes under its name meanwhile "
        "is taken for it.",
    )

    @property
    def claims(self) -> bool:
        """Whether files are claimed before they are taken."""
        return self.claim and self.after != "keep"

    @model_validator(mode="after")
    def _agree(self) -> Self:
        given = self.model_fields_set
        if "markers" in given and self.finished != "marker":
            raise ValueError("`markers` is for `finished: marker`")
        if "stable_for" in given and self.finished != "stable":
            raise ValueError("`stable_for` is for `finished: stable`")
        if "done" in given and self.after != "move":
            raise ValueError("`done` is for `after: move`")
        if self.done == self.errors:
            raise ValueError("`done` and `errors` are the same folder")
        for name in ("answers", "rejects"):
            if getattr(self, name) in (self.done, self.errors):
                raise ValueError(f"`{name}` is a folder of its own, and not `done` or `errors`")
        return self

    @property
    def own_folders(self) -> tuple[str | None, ...]:
        """Folders below the place in which no files are looked for: the bridge puts them there."""
        return self.done, self.errors, self.answers, self.rejects

    @property
    def tells(self) -> bool:
        """Whether senders are told of their files."""
        return self.answers is not None or self.rejects is not None

    def rules(self) -> Rules:
        """When a file is taken."""
        return Rules(
            include=self.include,
            exclude=self.exclude,
            temporary=self.temporary,
            finished=self.finished,
            stable_s=self.stable_for,
            markers=self.markers,
            order=self.order,
            hold_back_s=self.hold_back,
        )

    def same_place(self, other: CollectingOptions) -> bool:
        """Whether only rules differ, by which files are taken."""
        return type(self) is type(other) and self._place() == other._place()

    def _place(self) -> dict[str, object]:
        own = {"depth", "after", "done", "errors", "answers", "rejects", "claim"}
        rules = CollectingOptions.model_fields.keys() - own
        return {name: getattr(self, name) for name in type(self).model_fields if name not in rules}
