"""What a file says of an SSH server: where it is, who it must be, and who the bridge is to it."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from bridge.component import Options
from bridge.units import DurationS, SecretRef, SizeBytes

KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}=?")


def _host_key(text: str) -> str:
    if _FINGERPRINT.fullmatch(text):
        return text.removesuffix("=")
    kind, _, rest = text.partition(" ")
    encoded = rest.split(" ")[0]
    try:
        if kind in KEY_TYPES and base64.b64decode(encoded, validate=True):
            return f"{kind} {encoded}"
    except binascii.Error:
        pass
    raise ValueError(
        "expected a fingerprint, SHA256:..., or a public key as in known_hosts, ssh-ed25519 AAAA...; "
        "`bridge doctor` shows what the server has"
    )


def remote_directory(text: str) -> str:
    """A folder on a server, as its path. Raises ValueError."""
    if not text or "\0" in text or ".." in text.split("/"):
        raise ValueError("expected the path of a folder on the server, as in /outbox or outbox")
    return text


class SshOptions(Options):
    """Where a server is, and who is who."""

    host: str = Field(min_length=1, max_length=255, description="The server's name or address.")
    port: int = Field(22, gt=0, le=65535, description="Its port.")
    user: str = Field(min_length=1, max_length=255, description="Who the bridge is there.")
    password: SecretRef | None = Field(None, description="The password, as a reference.")
    key: SecretRef | None = Field(None, description="The private key, as a reference.")
    key_passphrase: SecretRef | None = Field(None, description="What the private key is encrypted with.")
    agent: bool = Field(False, description="Whether the keys of an SSH agent are tried.")
    host_keys: tuple[Annotated[str, AfterValidator(_host_key)], ...] = Field(
        (),
        max_length=8,
        description="Who the server must be: fingerprints, SHA256:..., or public keys. Nothing is sent to "
        "any other; two serve while a key is exchanged.",
    )
    trust_first: bool = Field(
        False,
        description="Take whatever key the server shows first for its own, as long as the bridge runs. Only "
        "for trying: whoever answers at that moment is believed.",
    )
    connect_within: DurationS = Field(
        30.0, gt=0, le=600, description="The longest that connecting and logging in may take."
    )
    answer_within: DurationS = Field(
        60.0, gt=0, le=3600, description="The longest that the server may say nothing to a request."
    )
    bandwidth: SizeBytes | None = Field(
        None, gt=0, description="The most that is read or written in a second; without it, all there is."
    )

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if self.password is None and self.key is None and not self.agent:
            raise ValueError("expected `password`, `key` or `agent: true`: who the bridge is to the server")
        if self.key_passphrase is not None and self.key is None:
            raise ValueError("`key_passphrase` is for `key`")
        if not self.host_keys and not self.trust_first:
            raise ValueError(
                "the key `host_keys` is missing: who the server must be; "
                "write any, and `bridge doctor` shows what it has; its owner says whether that is right"
            )
        return self
