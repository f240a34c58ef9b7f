"""What a channel file says of an MLLP source."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from bridge.component import Options
from bridge.formats.mllp_block import BlockBytes
from bridge.tls.listener import ListenerTls
from bridge.transports.mllp_addresses import ListenAddress, ListenerAddress, Network
from bridge.transports.mllp_answers import Acknowledge, AnswerOptions, Mode, check_together
from bridge.transports.mllp_framings import FramingKind
from bridge.units import DurationS, SizeBytes


class MllpOptions(Options):
    """Options of an MLLP source."""

    listen: ListenAddress = Field(
        description="Where to listen: `tcp:PORT`, or `tcp:PORT:interface=ADDRESS` for one address only."
    )
    acknowledge: Acknowledge = Field(
        "journaled",
        description="When AA is said: once the message is on disk, once it is mapped, or once every API has "
        "taken it. With the last two one that fails meanwhile is answered AE, and is the sender's again. Or "
        "relayed: the old engine's own answer, byte for byte. Or never, for senders that expect no answer.",
    )
    answer: AnswerOptions = Field(default_factory=lambda: AnswerOptions.model_validate({}))
    mode: Mode = Field(
        "original",
        description="HL7 acknowledgement mode: original (AA, AE or AR), enhanced (CA, CE or CR once it is on "
        "disk, then AA, AE or AR, as MSH-15 and MSH-16 ask), or from-message (by these two; original where "
        "both are empty).",
    )
    batches: Literal["refuse", "take"] = Field(
        "refuse",
        description="A block that holds a batch (FHS or BHS before its messages): refuse (AR), or take (its "
        "messages one by one, answered by a batch of their answers). With `mode: original`.",
    )
    application_ack: ListenerAddress | None = Field(
        None,
        description="Where the sender listens for application acknowledgements, `tcp:HOST:PORT`; without it "
        "they go back on its own connection.",
    )
    max_block: SizeBytes = Field(16 * 1024**2, gt=0, description="A larger block is answered AR.")
    max_connections: int = Field(512, gt=0, description="Open connections at once.")
    max_connections_per_peer: int = Field(32, gt=0, description="Open connections from one address.")
    max_unanswered: int = Field(
        64, gt=0, description="Blocks of one connection that may wait for their answer before it is read on."
    )
    idle: DurationS = Field(86400.0, gt=0, description="A connection on which nothing arrives is closed.")
    block_within: DurationS = Field(60.0, gt=0, description="A block that has begun must end within this.")
    drain: DurationS = Field(10.0, gt=0, description="How long stopping waits for answers still to be sent.")
    allow_from: tuple[Network, ...] = Field(
        (), description="Addresses and networks that may connect; empty allows all."
    )
    framing: FramingKind = Field(
        "mllp",
        description="How messages stand on the connection: in blocks; or with none, where nothing says that "
        "one is over but the next MSH, silence, or the end of the connection.",
    )
    block: BlockBytes = Field(default_factory=lambda: BlockBytes.model_validate({}))
    end_after: DurationS = Field(
        0.5,
        gt=0,
        le=60,
        description="With `framing: none`: a message whose last segment is ended is over when nothing has "
        "followed for this long.",
    )
    stale_after: DurationS | None = Field(
        None,
        gt=0,
        description="A peer at its limit of connections gets a new one all the same, in place of the one "
        "from its address that was silent longest, if for this long. Without it the new one is refused.",
    )
    tls: ListenerTls | None = None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        check_together(
            self.acknowledge,
            self.mode,
            answer="answer" in self.model_fields_set,
            application_ack=self.application_ack is not None,
        )
        if self.batches == "take" and self.mode != "original":
            raise ValueError("`batches: take` is for `mode: original`")
        if self.framing == "none" and "block" in self.model_fields_set:
            raise ValueError("`block` is for framing: mllp; with none there are no blocks")
        if self.framing == "mllp" and "end_after" in self.model_fields_set:
            raise ValueError("`end_after` is for framing: none; a block says itself where it ends")
        return self
