"""Senders of a simulation: they wait for each answer, and send again what got none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sim_world import SimWire, World

from bridge.cli.synthetic import Synthetic
from bridge.formats.hl7v2_reply import Acknowledged
from bridge.formats.mllp_framing import frame

PORT = 2575
ANSWER_MAX_S, AGAIN_S, REST_MAX_S = 10.0, 0.5, 1.0
REFUSALS_MAX = 5
"""So often a sender that hears AE sends a message again before it gives it up."""
END = b"\x1c\r"


@dataclass(eq=False)
class SimSender:
    """One sender with its own patients, and what it was told."""

    world: World
    messages: list[Synthetic]
    note: Callable[..., None]
    acknowledged: list[Synthetic] = field(default_factory=list)
    given_up: list[Synthetic] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._wire: SimWire | None = None
        self._heard = b""
        self._at = self._turn = self._refusals = 0
        self._go_on(self.world.some(REST_MAX_S))

    @property
    def done(self) -> bool:
        return self._at >= len(self.messages)

    def _go_on(self, wait_s: float) -> None:
        self._turn += 1
        self.world.later(wait_s, self._send, self._turn)

    def _send(self, turn: int) -> None:
        if turn != self._turn or self.done:
            return
        if self._wire is None:
            port = self.world.ports.get(PORT)
            if port is None:
                self._go_on(AGAIN_S)
                return
            self._heard = b""
            self._wire = SimWire(self.world, port, self)
        if self._wire is not None:
            self._turn += 1
            self.world.later(ANSWER_MAX_S, self._no_answer, self._turn)
            self._wire.send(frame(self.messages[self._at].body))

    def _no_answer(self, turn: int) -> None:
        if turn == self._turn and not self.done:
            self.cut()

    def cut(self) -> None:
        """Reset the connection, and begin again."""
        if self._wire is not None:
            self._wire.cut()
            self.closed()

    def vanish(self) -> None:
        """Come back by another connection, of which the one before knows nothing."""
        if self._wire is not None:
            self._wire.vanish()
            self.closed()

    def closed(self) -> None:
        self._wire = None
        self._go_on(AGAIN_S)

    def received(self, data: bytes) -> None:
        self._heard += data
        while END in self._heard:
            answer, _, self._heard = self._heard.partition(END)
            self._told(Acknowledged.read(answer.lstrip(b"\x0b")))

    def _told(self, answer: Acknowledged) -> None:
        if self.done or answer.control_id != self.messages[self._at].control_id:
            self.odd.append(f"{answer.code} for {answer.control_id}, which is not what was sent")
            return
        message = self.messages[self._at]
        self.note("[heard]", code=answer.code, control_id=answer.control_id)
        if answer.code == "AA":
            self.acknowledged.append(message)
        elif answer.code == "AE" and self._refusals < REFUSALS_MAX:
            self._refusals += 1
            self._go_on(AGAIN_S)
            return
        else:
            if answer.code != "AE":
                self.odd.append(f"{answer.code} for {answer.control_id}")
            self.given_up.append(message)
        self._refusals = 0
        self._at += 1
        self._go_on(self.world.some(REST_MAX_S))
