"""What differs from one machine to the next: taken from environment variables, all with defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bridge.config.secrets import Secrets
from bridge.errors import ConfigurationRefused
from bridge.located import Place, Problem
from bridge.units import SecretRef

JOURNAL_DEFAULT: Final = "sqlite:///var/bridge.db"
ADMIN_PORT_DEFAULT: Final = 8585
SECRETS_DEFAULT: Final = "secrets"
STATE_DEFAULT: Final = "var"
VARIABLES: Final[Mapping[str, str]] = {
    "BRIDGE_JOURNAL": f"The journal's database, as a URL; default {JOURNAL_DEFAULT}.",
    "BRIDGE_ADMIN_PORT": "The port on loopback of /healthz, /readyz and /metrics; "
    f"default {ADMIN_PORT_DEFAULT}, 0 takes a free one.",
    "BRIDGE_ENVIRONMENT": "Whose values channel and API files take: a name in channels/environments/.",
    "BRIDGE_JOURNAL_KEYS": "The secret with the keys that bodies in the journal are encrypted with, "
    "as secret://file/NAME; `bridge journal keys new` makes it.",
    "BRIDGE_SECRETS": f"The folder of secret://file/NAME; default ./{SECRETS_DEFAULT}.",
    "BRIDGE_STATE": "The folder for the socket of a node whose journal is no file; "
    f"default ./{STATE_DEFAULT}.",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """One machine's settings. ``journal`` may hold a password and is not shown when this is printed."""

    journal: str = field(repr=False)
    admin_port: int
    secrets: Secrets
    state: Path
    journal_keys: SecretRef | None = None


def settings(environment: Mapping[str, str]) -> Settings:
    """The settings that an environment gives; an empty variable counts as one that is not set.

    Raises ConfigurationRefused where a value cannot be used.
    """
    port = environment.get("BRIDGE_ADMIN_PORT") or str(ADMIN_PORT_DEFAULT)
    if not (port.isascii() and port.isdecimal() and len(port) <= 5 and int(port) <= 65535):
        place = Place("BRIDGE_ADMIN_PORT", 1, 1)
        raise ConfigurationRefused([Problem(place, "C160", "expected a port: a number from 0 to 65535")])
    keys = environment.get("BRIDGE_JOURNAL_KEYS")
    try:
        journal_keys = SecretRef.parse(keys) if keys else None
    except ValueError as wrong:
        raise ConfigurationRefused(
            [Problem(Place("BRIDGE_JOURNAL_KEYS", 1, 1), "C160", str(wrong))]
        ) from None
    return Settings(
        journal=environment.get("BRIDGE_JOURNAL") or JOURNAL_DEFAULT,
        admin_port=int(port),
        secrets=Secrets(Path(environment.get("BRIDGE_SECRETS") or SECRETS_DEFAULT), environment),
        state=Path(environment.get("BRIDGE_STATE") or STATE_DEFAULT),
        journal_keys=journal_keys,
    )
