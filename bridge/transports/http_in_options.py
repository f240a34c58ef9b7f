"""What a channel file says of bodies that come over HTTP."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from bridge.tls.listener import ListenerTls
from bridge.transports.collecting_options import FileOptions
from bridge.transports.mllp_addresses import ListenAddress
from bridge.units import LINE, DurationS, SecretRef

TOKENS_MAX_COUNT = 32


def _path(text: str) -> str:
    if not re.fullmatch(r"/[A-Za-z0-9._~/-]*", text):
        raise ValueError("expected a path, as in /lab/results")
    return text


class HttpInOptions(FileOptions):
    """Options of an HTTP source: a POST is a file."""

    listen: ListenAddress = Field(
        description="Where to listen: `tcp:PORT`, or `tcp:PORT:interface=ADDRESS` for one address only."
    )
    path: Annotated[str, AfterValidator(_path)] = Field(description="The path that is posted to.")
    tokens: Annotated[dict[str, SecretRef], Field(max_length=TOKENS_MAX_COUNT), LINE] = Field(
        default_factory=dict,
        description="Who may post, by a name of yours, each with the token that it shows (`Authorization: "
        "Bearer`). Two serve while one is exchanged.",
    )
    tls: ListenerTls | None = None
    max_connections: int = Field(256, gt=0, description="Open connections at once.")
    idle: DurationS = Field(60.0, gt=0, description="A connection on which nothing arrives is closed.")
    body_within: DurationS = Field(300.0, gt=0, description="The longest that a request may take to arrive.")

    @model_validator(mode="after")
    def _known(self) -> Self:
        if not self.tokens and (self.tls is None or self.tls.client_ca is None):
            raise ValueError("expected `tokens`, or `tls` with `client_ca`: who may post here")
        return self
