"""What a channel file says of an MLLP source."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from bridge.component import Options
from bridge.transports.mllp_tls import ListenerTls
from bridge.units import DurationS, SizeBytes


def _listen(value: str) -> str:
    kind, _, rest = value.partition(":")
    port = rest.partition(":")[0]
    if kind not in ("tcp", "tcp6") or not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise ValueError("expected an endpoint, tcp:PORT or tcp:PORT:interface=ADDRESS")
    return value


def _network(value: str) -> str:
    try:
        ipaddress.ip_network(value)
    except ValueError:
        raise ValueError("expected an address or a network, as in 10.1.0.0/16") from None
    return value


class AnswerOptions(Options):
    """When a sender that waits for more than the disk is answered."""

    within: DurationS = Field(
        10.0,
        gt=0,
        le=300,
        description="The longest that a sender is kept waiting; less than its own patience.",
    )
    late: Literal["AE", "AA"] = Field(
        "AE",
        description="What it is told then. The message goes on all the same, and is not processed again if "
        "it is sent again.",
    )


class MllpOptions(Options):
    """Options of an MLLP source."""

    listen: Annotated[str, AfterValidator(_listen)] = Field(
        description="Where to listen: `tcp:PORT`, or `tcp:PORT:interface=ADDRESS` for one address only."
    )
    acknowledge: Literal["journaled", "translated", "delivered"] = Field(
        "journaled",
        description="When AA is said: once the message is on disk, once it is mapped, or once every API has "
        "taken it. With the last two one that fails meanwhile is answered AE, and is the sender's again.",
    )
    answer: AnswerOptions = Field(default_factory=lambda: AnswerOptions.model_validate({}))
    mode: Literal["original"] = Field("original", description="HL7 acknowledgement mode: AA, AE or AR.")
    max_block: SizeBytes = Field(16 * 1024**2, gt=0, description="A larger block is answered AR.")
    max_connections: int = Field(512, gt=0, description="Open connections at once.")
    max_connections_per_peer: int = Field(32, gt=0, description="Open connections from one address.")
    max_unanswered: int = Field(
        64, gt=0, description="Blocks of one connection that may wait for their answer before it is read on."
    )
    idle: DurationS = Field(86400.0, gt=0, description="A connection on which nothing arrives is closed.")
    block_within: DurationS = Field(60.0, gt=0, description="A block that has begun must end within this.")
    drain: DurationS = Field(10.0, gt=0, description="How long stopping waits for answers still to be sent.")
    allow_from: tuple[Annotated[str, AfterValidator(_network)], ...] = Field(
        (), description="Addresses and networks that may connect; empty allows all."
    )
    tls: ListenerTls | None = None

    @model_validator(mode="after")
    def _something_to_wait_for(self) -> Self:
        if self.acknowledge == "journaled" and "answer" in self.model_fields_set:
            raise ValueError("`answer` is for acknowledge: translated or delivered; on disk is soon enough")
        return self
