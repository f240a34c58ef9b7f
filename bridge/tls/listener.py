"""TLS as a server: what a file says of a listener's certificates, and of whom it lets connect."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from bridge.component import Options
from bridge.tls.names import peer_name
from bridge.units import DurationS, SecretRef, SiteFile

PEERS_MAX_COUNT: Final = 1000


def _own_authority(value: object) -> object:
    if value == "system":
        raise ValueError(
            "the authorities of the system sign for anybody: name the PEM file of the one that signs "
            "your senders' certificates"
        )
    return value


class ListenerTls(Options):
    """TLS for senders. Without it the listener takes plain TCP."""

    certificate: SiteFile = Field(
        description="PEM file: the listener's certificate, and after it what stands between it and its "
        "authority. Relative to the configuration's folder."
    )
    key: SecretRef = Field(description="Where its private key is kept, in PEM; never the key itself.")
    key_password: SecretRef | None = Field(
        None, description="Where the key's password is kept, if it has one."
    )
    client_ca: Annotated[SiteFile, BeforeValidator(_own_authority)] | None = Field(
        None,
        description="PEM file: the authorities of senders. With it a sender must show a certificate of one "
        "of them, or is refused.",
    )
    crl: SiteFile | None = Field(
        None,
        description="PEM file: revocation lists of these authorities, one of each that issues senders' "
        "certificates. A list that has passed its next update refuses every sender.",
    )
    peers: Annotated[
        tuple[Annotated[str, AfterValidator(peer_name)], ...], Field(max_length=PEERS_MAX_COUNT)
    ] = Field(
        (),
        description="Names of the senders that may connect, as their certificates have them: DNS names "
        "(`*.` stands for one label) and URIs. Empty allows every certificate of client_ca.",
    )
    min_version: Literal["TLSv1.2", "TLSv1.3"] = Field("TLSv1.2", description="An older TLS is refused.")
    handshake: DurationS = Field(
        10.0, gt=0, le=120, description="How long a sender may take until it is known."
    )

    @model_validator(mode="after")
    def _senders_are_known(self) -> Self:
        if self.client_ca is None and (self.peers or self.crl is not None):
            raise ValueError("`peers` and `crl` go with `client_ca`, which says whose certificates count")
        return self
