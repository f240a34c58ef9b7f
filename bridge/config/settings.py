"""What differs from one machine to the next: taken from environment variables, all with defaults."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from bridge.config.secrets import Secrets
from bridge.config.vault import Vault
from bridge.errors import ConfigurationRefused
from bridge.located import Place, Problem
from bridge.units import SecretRef, parse_duration, parse_size

JOURNAL_DEFAULT: Final = "sqlite:///var/bridge.db"
ADMIN_INTERFACE: Final = "127.0.0.1"
ADMIN_PORT_DEFAULT: Final = 8585
SECRETS_DEFAULT: Final = "secrets"
STATE_DEFAULT: Final = "var"
DISK_RESERVE_DEFAULT_BYTES: Final = 256 * 1024**2
DISK_SHARE_DEFAULT: Final = 0.05
DISK_SHARE_MAX: Final = 0.9
ROWS_MAX: Final = 1_000_000
KEEP_MIN_S: Final = 86_400.0
VARIABLES: Final[Mapping[str, str]] = {
    "BRIDGE_JOURNAL": f"The journal's database, as a URL; default {JOURNAL_DEFAULT}.",
    "BRIDGE_ADMIN_PORT": "The port on loopback of /healthz, /readyz and /metrics; "
    f"default {ADMIN_PORT_DEFAULT}, 0 takes a free one.",
    "BRIDGE_DISK_RESERVE": "With less free on the disk of a journal in a file nothing new is taken. A size, "
    f"as 512MiB, or a share, as 5%; default 256MiB, and at most {DISK_SHARE_DEFAULT:.0%} of the disk.",
    "BRIDGE_ENVIRONMENT": "Whose values channel and API files take: a name in channels/environments/.",
    "BRIDGE_APPROVALS": "`required` lets a node run by files that others than their author have approved, "
    "and by no other; the journal remembers it, and `off` ends it again.",
    "BRIDGE_JOURNAL_KEYS": "The secret with the keys that bodies in the journal are encrypted with, "
    "as secret://file/NAME; `bridge journal keys new` makes it.",
    "BRIDGE_AUDIT_KEY": "The secret with the key that checkpoints of the audit chain are signed with, as "
    "secret://file/NAME; `bridge audit key new` makes it.",
    "BRIDGE_AUDIT_ANCHORS": "Where signed checkpoints are kept outside, with blanks between: file:/PATH, "
    "syslog+tls://HOST:PORT, https://HOST/PATH; ?ca=FILE names authorities of your own.",
    "BRIDGE_AUDIT_EVERY": "After how many rows of the chain, or how long, the next checkpoint is made; "
    "default 1000/60s.",
    "BRIDGE_AUDIT_KEEP": "How long rows of the chain are kept, as 2192d; then they go, as far as a "
    "checkpoint is signed and anchored, and that stays. Default: for ever.",
    "BRIDGE_TRACES": "The collector that traces are told to, over OTLP/HTTP, as in http://localhost:4318; "
    "default: what OTEL_EXPORTER_OTLP_ENDPOINT says, else none.",
    "BRIDGE_TRACES_HEADERS": "The secret with headers for the collector, a line for each, NAME: VALUE; as "
    "secret://file/NAME.",
    "BRIDGE_SECRETS": f"The folder of secret://file/NAME; default ./{SECRETS_DEFAULT}.",
    "BRIDGE_STATE": "The folder for the socket of a node whose journal is no file; "
    f"default ./{STATE_DEFAULT}.",
}


@dataclass(frozen=True, slots=True)
class DiskReserve:
    """What must be left of a disk: so many bytes, though no more than a share of it."""

    size_bytes: int | None = DISK_RESERVE_DEFAULT_BYTES
    share: float = DISK_SHARE_DEFAULT

    def of(self, total_bytes: int) -> int:
        """The reserve of a disk of this size.

        >>> DiskReserve().of(1024**4), DiskReserve(None, 0.5).of(100)
        (268435456, 50)
        """
        share_bytes = int(total_bytes * self.share)
        return share_bytes if self.size_bytes is None else min(self.size_bytes, share_bytes)

    @classmethod
    def read(cls, text: str) -> DiskReserve:
        """What somebody has written. Raises ValueError where it says neither a size nor a share.

        >>> DiskReserve.read("5%"), DiskReserve.read("1GiB")
        (DiskReserve(size_bytes=None, share=0.05), DiskReserve(size_bytes=1073741824, share=0.9))
        """
        number = text.removesuffix("%")
        if text.endswith("%") and number.isascii() and number.isdecimal():
            if not 0 < int(number) <= DISK_SHARE_MAX * 100:
                raise ValueError(f"expected a share from 1% to {DISK_SHARE_MAX:.0%}")
            return cls(None, int(number) / 100)
        try:
            return cls(parse_size(text), DISK_SHARE_MAX)
        except ValueError:
            raise ValueError("expected a size with its unit, as in 512MiB, or a share, as in 5%") from None


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """How the audit chain is signed and anchored: a checkpoint after so many rows, or so long; and how long
    its rows are kept, None for ever."""

    key: SecretRef | None = None
    anchors: tuple[str, ...] = ()
    every_rows: int = 1000
    every_s: float = 60.0
    keep_s: float | None = None

    @classmethod
    def read(cls, key: SecretRef | None, anchors: str, every: str, keep: str = "") -> AuditSettings:
        """What somebody has written. Raises ValueError.

        >>> AuditSettings.read(None, "", "500/30s").every_rows
        500
        """
        keep_s = parse_duration(keep) if keep else None
        if keep_s is not None and keep_s < KEEP_MIN_S:
            raise ValueError("expected at least a day, as in 2192d, which is six years")
        if keep_s is not None and not anchors.split():
            raise ValueError("needs BRIDGE_AUDIT_ANCHORS: only what is kept elsewhere too is let go of")
        if not every:
            return cls(key, tuple(anchors.split()), keep_s=keep_s)
        rows, slash, wait = every.partition("/")
        if not slash or not (rows.isascii() and rows.isdecimal()) or not 0 < int(rows) <= ROWS_MAX:
            raise ValueError(f"expected rows and a time, as in 1000/60s, with at most {ROWS_MAX} rows")
        return cls(key, tuple(anchors.split()), int(rows), parse_duration(wait), keep_s)


@dataclass(frozen=True, slots=True)
class Settings:
    """One machine's settings. ``journal`` may hold a password and is not shown when this is printed."""

    journal: str = field(repr=False)
    admin_port: int
    secrets: Secrets
    state: Path
    journal_keys: SecretRef | None = None
    traces: str = ""
    traces_headers: SecretRef | None = None
    disk_reserve: DiskReserve = field(default_factory=DiskReserve)
    approvals: Literal["", "required", "off"] = ""
    audit: AuditSettings = field(default_factory=AuditSettings)


def settings(environment: Mapping[str, str]) -> Settings:
    """The settings that an environment gives; an empty variable counts as one that is not set.

    Raises ConfigurationRefused where a value cannot be used.
    """
    port = environment.get("BRIDGE_ADMIN_PORT") or str(ADMIN_PORT_DEFAULT)
    if not (port.isascii() and port.isdecimal() and len(port) <= 5 and int(port) <= 65535):
        place = Place("BRIDGE_ADMIN_PORT", 1, 1)
        raise ConfigurationRefused([Problem(place, "C160", "expected a port: a number from 0 to 65535")])
    traces = environment.get("BRIDGE_TRACES") or environment.get("OTEL_EXPORTER_OTLP_ENDPOINT") or ""
    if traces and not traces.startswith(("http://", "https://")):
        place = Place("BRIDGE_TRACES", 1, 1)
        raise ConfigurationRefused([Problem(place, "C160", "expected a URL, as in http://localhost:4318")])
    reserve = environment.get("BRIDGE_DISK_RESERVE")
    try:
        disk_reserve = DiskReserve.read(reserve) if reserve else DiskReserve()
    except ValueError as wrong:
        place = Place("BRIDGE_DISK_RESERVE", 1, 1)
        raise ConfigurationRefused([Problem(place, "C160", str(wrong))]) from None
    try:
        audit = AuditSettings.read(
            _reference(environment, "BRIDGE_AUDIT_KEY"),
            environment.get("BRIDGE_AUDIT_ANCHORS") or "",
            environment.get("BRIDGE_AUDIT_EVERY") or "",
            environment.get("BRIDGE_AUDIT_KEEP") or "",
        )
    except ValueError as wrong:
        keep = environment.get("BRIDGE_AUDIT_KEEP")
        place = Place("BRIDGE_AUDIT_KEEP" if keep else "BRIDGE_AUDIT_EVERY", 1, 1)
        raise ConfigurationRefused([Problem(place, "C160", str(wrong))]) from None
    secrets = Path(environment.get("BRIDGE_SECRETS") or SECRETS_DEFAULT)
    return Settings(
        journal=environment.get("BRIDGE_JOURNAL") or JOURNAL_DEFAULT,
        admin_port=int(port),
        secrets=Secrets(secrets, environment, Vault(environment, time.monotonic)),
        state=Path(environment.get("BRIDGE_STATE") or STATE_DEFAULT),
        journal_keys=_reference(environment, "BRIDGE_JOURNAL_KEYS"),
        traces=traces,
        traces_headers=_reference(environment, "BRIDGE_TRACES_HEADERS"),
        disk_reserve=disk_reserve,
        audit=audit,
        approvals=_approvals(environment),
    )


def _approvals(environment: Mapping[str, str]) -> Literal["", "required", "off"]:
    match environment.get("BRIDGE_APPROVALS", ""):
        case "required":
            return "required"
        case "off":
            return "off"
        case "":
            return ""
    raise ConfigurationRefused(
        [Problem(Place("BRIDGE_APPROVALS", 1, 1), "C160", "expected `required` or `off`")]
    )


def _reference(environment: Mapping[str, str], name: str) -> SecretRef | None:
    """The reference to a secret in a variable; None where it is not set."""
    value = environment.get(name)
    try:
        return SecretRef.parse(value) if value else None
    except ValueError as wrong:
        raise ConfigurationRefused([Problem(Place(name, 1, 1), "C160", str(wrong))]) from None
