"""What a channel file says of the old engine: where it is fed, where its output passes, how that compares."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from bridge.component import Options
from bridge.config.names import Name
from bridge.mapping.functions.patterns import pattern_mistake
from bridge.ssh.options import SshOptions, remote_directory
from bridge.tls.client import Tls
from bridge.tls.listener import ListenerTls
from bridge.units import DurationS, SizeBytes

RULES_MAX_COUNT = 200
TAPS_MAX_COUNT = 50


def _place(value: str) -> str:
    kind, _, rest = value.partition(":")
    host, _, port = rest.rpartition(":")
    if (
        kind != "tcp"
        or not host.strip("[]")
        or not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536)
    ):
        raise ValueError("expected where it listens, tcp:HOST:PORT")
    return value


def _listen(value: str) -> str:
    kind, _, rest = value.partition(":")
    port = rest.partition(":")[0]
    if kind not in ("tcp", "tcp6") or not (port.isascii() and port.isdecimal() and int(port) < 65536):
        raise ValueError("expected an endpoint, tcp:PORT or tcp:PORT:interface=ADDRESS")
    return value


def _url(value: str) -> str:
    parts = urlsplit(value)
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.query
        or parts.fragment
        or parts.username
    ):
        raise ValueError("expected http://HOST or https://HOST, perhaps with a port and a path")
    return value.rstrip("/")


def _regex(value: str) -> str:
    if value and pattern_mistake(value):
        raise ValueError("expected a regular expression of RE2")
    return value


def _decimal(value: str) -> str:
    number = Decimal(value) if value.replace(".", "", 1).isdecimal() else Decimal(-1)
    if number < 0:
        raise ValueError("expected a number that is not negative, as in 0.01")
    return value


def _folder(value: str) -> str:
    if not value.startswith("/") or "\0" in value or ".." in value.split("/"):
        raise ValueError("expected the absolute path of a folder, as in /var/spool/adt-out")
    return value.rstrip("/") or "/"


Folder = Annotated[str, AfterValidator(_folder)]
Place = Annotated[str, AfterValidator(_place)]
Endpoint = Annotated[str, AfterValidator(_listen)]
ControlId = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]{2}-[0-9]{1,3}(\.[0-9]{1,2})?$")]


PAIR_BY_MAX_COUNT = 8
PairBy = Annotated[tuple[ControlId, ...], Field(max_length=PAIR_BY_MAX_COUNT)]
PAIR_BY: Final = Field(
    (),
    description="Instead of `control_id`, for an engine that tells of none: fields that are the same in the "
    "message and in what is made of it, as in `[PID-3.1, MSH-9.2]`. What has the same values pairs in its "
    "order, within `pair_within`.",
)


class HttpTap(Options):
    """A reverse proxy: the old engine posts here, and what may pass goes on to where it posted before."""

    listen: Endpoint = Field(description="Where to listen: `tcp:PORT`, or `tcp:PORT:interface=ADDRESS`.")
    tls: ListenerTls | None = Field(None, description="TLS for the old engine, which calls `https` then.")
    pass_to: Annotated[str, AfterValidator(_url)] = Field(
        description="Where the old engine's calls went until now: the URL that this listener stands for."
    )
    pass_tls: Tls = Field(
        default_factory=lambda: Tls.model_validate({}),
        description="Certificates for `https` to there, beside those that the system trusts.",
    )
    control_id: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9-]{1,64}$",
        description="The header in which the old engine says which message it is about (MSH-10). Without it, "
        "pairs are found by method and path.",
    )
    max_body: SizeBytes = Field(16 * 1024**2, gt=0, description="A larger call is refused with 413.")


class MllpTap(Options):
    """A listener: the old engine sends here, and what may pass goes on to where it sent before."""

    listen: Endpoint = Field(description="Where to listen: `tcp:PORT`, or `tcp:PORT:interface=ADDRESS`.")
    tls: ListenerTls | None = Field(None, description="TLS for the old engine that connects here.")
    pass_to: Place = Field(description="Where the old engine sent until now, `tcp:HOST:PORT`.")
    pass_tls: Tls | None = Field(None, description="TLS to there; `{}` trusts the authorities of the system.")
    control_id: ControlId = Field(
        "MSH-10", description="The field in which the old engine says which message it is about."
    )
    pair_by: PairBy = PAIR_BY
    max_block: SizeBytes = Field(16 * 1024**2, gt=0, description="A larger block ends the connection.")


class FileTap(Options):
    """A folder: the old engine puts files here, and what may pass goes on to where it put them before."""

    directory: Folder = Field(
        description="Where the old engine puts its files now: a folder that nobody else takes from; an "
        "absolute path."
    )
    pass_to: Folder = Field(
        description="The folder in which it put them until now. A file appears there whole, under its own "
        "name, and never over another."
    )
    permissions: str = Field(
        "0640", pattern=r"^0[0-7]{3}$", description="Who may read a file there: permissions in octal."
    )
    include: Annotated[tuple[str, ...], Field(min_length=1, max_length=64)] = Field(
        ("*",), description="Names that are looked at, as in *.hl7; others stay where they are."
    )
    finished: Literal["stable", "renamed"] = Field(
        "stable",
        description="When a file is whole: stable (as it was over two looks and `stable_for`), or renamed "
        "(as soon as its name is not that of something temporary).",
    )
    stable_for: DurationS = Field(
        2.0, ge=0, description="With `finished: stable`: how long a file must be as it was."
    )
    poll: DurationS = Field(1.0, gt=0, le=3600, description="How often is looked for files.")
    order: Literal["name", "time"] = Field(
        "name", description="Which of several finished files comes first: by name or time."
    )
    control_id: ControlId = Field(
        "MSH-10", description="The field in which the old engine says which message it is about."
    )
    pair_by: PairBy = PAIR_BY
    max_size: SizeBytes = Field(
        16 * 1024**2, gt=0, description="A larger file goes to `errors` below the folder, for a person."
    )

    @model_validator(mode="after")
    def _two_folders(self) -> Self:
        if self.directory == self.pass_to:
            raise ValueError("`directory` and `pass_to` are the same folder; what passed would come again")
        return self


class RecordedTap(Options):
    """Output that was recorded and is imported, `bridge parity import`; nothing passes here."""

    control_id: ControlId = Field(
        "MSH-10", description="The field in which the output says which message it is about."
    )
    pair_by: PairBy = PAIR_BY


class Tap(Options):
    """Where the output of the old engine for one route passes, or that it is imported."""

    route: Name = Field(description="The route of this channel that the output stands for.")
    http: HttpTap | None = None
    mllp: MllpTap | None = None
    file: FileTap | None = None
    recorded: RecordedTap | None = None
    mapping: Name | None = Field(
        None,
        description="A mapping that makes the same records of the old engine's messages as the route's does "
        "of what comes, so that both are compared as the requests that they would be. For `mllp`, `file` and "
        "`recorded`.",
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(each is not None for each in (self.http, self.mllp, self.file, self.recorded)) != 1:
            raise ValueError(
                "expected `http: {...}`, `mllp: {...}`, `file: {...}` or `recorded: {}`, one of them"
            )
        if self.mapping is not None and self.http is not None:
            raise ValueError("`mapping` reads messages: it goes with `mllp`, `file` or `recorded`")
        return self

    @property
    def tls(self) -> ListenerTls | None:
        """What its listener has for the old engine."""
        listens = self.http or self.mllp
        return None if listens is None else listens.tls

    @property
    def keeps_back(self) -> bool:
        """Whether output can be kept from its destination here."""
        return self.recorded is None

    @property
    def place(self) -> str:
        """The field that says which message an output is about; empty where none does."""
        named = self.mllp or self.file or self.recorded
        return "" if named is None or named.pair_by else named.control_id

    @property
    def pair_by(self) -> tuple[str, ...]:
        """The fields by which an output and a message are paired instead."""
        named = self.mllp or self.file or self.recorded
        return () if named is None else named.pair_by


class LegacyFolder(Options):
    """Where the old job looks for files. It gets every file byte for byte, under its own name."""

    directory: str = Field(
        pattern=r"^/",
        description="The folder, which must be there and no symbolic link; an absolute path. Folders below "
        "it are made as they are at the source.",
    )
    permissions: str = Field(
        "0640", pattern=r"^0[0-7]{3}$", description="Who may read a file: permissions in octal."
    )


class LegacyServer(SshOptions):
    """A folder on an SFTP server where the old job looks for files."""

    directory: Annotated[str, AfterValidator(remote_directory)] = Field(
        description="The folder on the server, which must be there: a path, or one below where the login "
        "begins. Folders below it are made as they are at the source."
    )

    @property
    def place(self) -> str:
        """What it is called."""
        return f"sftp://{self.user}@{self.host}:{self.port}/{self.directory.lstrip('/')}"


class Legacy(Options):
    """The engine, or the job, that this feed went to before."""

    mllp: Place | None = Field(
        None, description="Where it listens, `tcp:HOST:PORT`. It gets every message byte for byte."
    )
    tls: Tls | None = Field(
        None, description="TLS to it; `{}` trusts the authorities of the system. With `mllp`."
    )
    file: LegacyFolder | None = Field(
        None,
        description="Instead of `mllp`, of a channel that takes files: the folder in which the old job "
        "looks. A file appears there whole, once, and never over another of its name.",
    )
    sftp: LegacyServer | None = Field(
        None, description="As `file`, where the old job looks on an SFTP server."
    )
    answer_within: DurationS = Field(
        30.0, gt=0, le=600, description="How long its answer is waited for, before the message is sent again."
    )
    attempts: int = Field(
        3,
        ge=1,
        le=100,
        description="How often a message that it answers with AE is sent, where its sender has its answer "
        "already.",
    )
    settle: DurationS = Field(
        5.0,
        gt=0,
        le=3600,
        description="A key is taken over only after so long without output of the old engine for it.",
    )
    pair_within: DurationS = Field(
        300.0,
        gt=0,
        le=90 * 86400,
        description="What has no counterpart after this counts as missing. Output that is imported may need "
        "days.",
    )
    salt: str | None = Field(
        None,
        min_length=8,
        max_length=64,
        description="A word of the site, the same for good, by which a canary chooses its keys. With it "
        "every node chooses alike, whatever its journal; without it each journal has a salt of its own.",
    )
    error_budget_percent: float = Field(
        0.1,
        ge=0,
        le=100,
        description="How much of what the bridge sends may end with a person. Burnt 14.4 times as fast over "
        "five minutes and an hour, a route in canary or primary goes one stage back by itself; 0: never.",
    )
    blocked_max: int = Field(
        5,
        ge=0,
        description="With more messages that block their keys, a route in canary or primary goes one stage "
        "back by itself; 0: never.",
    )
    taps: Annotated[tuple[Tap, ...], Field(max_length=TAPS_MAX_COUNT)] = Field(
        (),
        description="Where its output passes, so that it can be compared and kept back; one for each route.",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum(each is not None for each in (self.mllp, self.file, self.sftp)) != 1:
            raise ValueError(
                'expected `mllp: "tcp:HOST:PORT"`, `file: {directory: ...}` or `sftp: {...}`, one of them'
            )
        if self.tls is not None and self.mllp is None:
            raise ValueError("`tls` goes with `mllp`")
        return self

    @property
    def where(self) -> str:
        """Where it takes what it is given, for people."""
        if self.sftp is not None:
            return self.sftp.place
        return self.file.directory if self.file is not None else str(self.mllp)

    @property
    def takes_files(self) -> bool:
        """Whether it gets whole files, and no messages."""
        return self.mllp is None

    @model_validator(mode="after")
    def _once(self) -> Self:
        routes = [tap.route for tap in self.taps]
        if len(set(routes)) < len(routes):
            raise ValueError("a route has one tap; `taps` names one twice")
        return self


class Rule(Options):
    """Something that may differ, at the places of ``path``; ``*`` stands for any name."""

    path: str = Field(
        min_length=1, max_length=200, description="Which places: `birth_date`, `lines[].code`, `PID-7`."
    )
    rule: Literal["ignore", "unordered", "tolerance", "time", "fold", "codes", "default", "replace"] = Field(
        description="What may differ: ignore (all of it), unordered (a list in another order, by `key`), "
        "tolerance (numbers by at most `by`, never money), time (instants by at most `within`), fold "
        "(case and white space), codes (`codes` says which are the same), default (absent and `value` are "
        "the same), replace (`pattern` by `with` on both sides, RE2)."
    )
    owner: str = Field(min_length=1, description="Who answers for it.")
    expires: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")] = Field(
        description="The last day on which it counts, 2026-12-31."
    )
    key: str = Field("", description="With unordered: the field by which items of the list are paired.")
    by: Annotated[str, AfterValidator(_decimal)] = Field(
        "0", description="With tolerance: how much, as in 0.5."
    )
    within: DurationS = Field(0.0, ge=0, description="With time: how much, as in 1s.")
    codes: dict[str, str] = Field(default_factory=dict, description="With codes: ours for each of theirs.")
    value: str = Field("", description="With default: what the absent one stands for.")
    pattern: Annotated[str, AfterValidator(_regex)] = Field("", description="With replace: what is replaced.")
    with_: str = Field("", alias="with", description="With replace: by what.")


class Parity(Options):
    """How what both sides made is compared."""

    late_after: DurationS = Field(
        60.0, gt=0, description="A pair is late where the bridge was done so long after the old engine."
    )
    rules: Annotated[tuple[Rule, ...], Field(max_length=RULES_MAX_COUNT)] = Field(
        (), description="What may differ; each use is counted."
    )
    money: tuple[str, ...] = Field(
        (), description="Places of amounts: they must be equal to the last digit, and no rule helps."
    )
    financial: bool = Field(
        False,
        description="Whether a difference in canary or primary takes the route one stage back by itself.",
    )
