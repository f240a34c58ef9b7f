"""Application acknowledgements to a listener of the sender's: in order, each until it is confirmed.

What is owed is in the journal, so a restart goes on where the last process ended. One that was on its way
when the process died is sent again, under the same control ID. While nobody listens nothing is used up; a
listener that takes one and does not confirm it gets it again, though not for ever: others wait behind it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import structlog
from twisted.internet.defer import Deferred

from bridge.delivery.backoff import RetryPolicy
from bridge.errors import JournalUnavailable, PeerSilent, PeerUnavailable
from bridge.formats.hl7v2_reply import Acknowledged
from bridge.journal.journal import Journal
from bridge.journal.owed_answers import SAID, OwedState, Said, ToSend, to_send
from bridge.observe.metrics import Metrics
from bridge.runtime.surroundings import Surroundings
from bridge.transports.base import BackChannel

log = structlog.get_logger("bridge.application_acks")

PAGE_ANSWERS = 64
JOURNAL_WAIT_S = 1.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a listener is tried again.

    ``attempts_max`` counts only what was written to an open connection; ``owed_max_s`` is the age at which an
    acknowledgement is no longer worth sending.
    """

    attempts_max: int = 50
    owed_max_s: float = 7 * 86400.0
    retry: RetryPolicy = field(default_factory=lambda: RetryPolicy(cap_s=60.0))


class ApplicationAcks:
    """The way to one channel's listener for application acknowledgements."""

    def __init__(
        self,
        channel: str,
        journal: Journal,
        metrics: Metrics,
        world: Surroundings,
        patience: Patience | None = None,
    ) -> None:
        self._channel = channel
        self.address: str | None = None
        """Where the listener is; None for none, and then what is owed waits in the journal."""
        self._listener: BackChannel | None = None
        self._journal, self._metrics, self._world = journal, metrics, world
        self._patience = patience or Patience()
        self._wakeup: Deferred[None] | None = None
        self._more = True
        self._stopped = False
        self._place = 0

    def use(self, address: str | None, listener: BackChannel | None) -> None:
        """Go through this listener from now on; what the one before did not confirm is sent to this one."""
        before, self.address, self._listener = self._listener, address, listener
        if before is not None:
            before.hang_up()
        self.wake()

    def stop(self) -> None:
        """Send nothing more."""
        self._stopped = True
        self.use(None, None)

    def wake(self) -> None:
        """The journal has something to send."""
        self._more = True
        if self._wakeup is not None:
            wakeup, self._wakeup = self._wakeup, None
            self._world.reactor.callLater(0, wakeup.callback, None)

    async def run(self) -> None:
        """Send until `stop`, in the order in which acknowledgements came to be owed."""
        try:
            while not self._stopped:
                if not self._more or self._listener is None:
                    self._wakeup = Deferred()
                    await self._wakeup
                else:
                    await self._send_page()
        finally:
            if self._listener is not None:
                self._listener.hang_up()

    async def _send_page(self) -> None:
        self._more = False
        try:
            page = await self._journal.read(to_send, self._channel, self._place, PAGE_ANSWERS)
        except JournalUnavailable as error:
            self._more = True
            log.error("journal-unavailable", channel=self._channel, reason=str(error))
            await self._world.pause(JOURNAL_WAIT_S)
            return
        for owed in page:
            said = await self._send(owed)
            if said is None:
                return
            self._metrics.application_acks.labels(self._channel, said.state).inc()
            await self._written(said)
            self._place = owed.place
        self._more = self._more or bool(page)

    async def _send(self, owed: ToSend) -> Said | None:
        """See one through: confirmed, refused, or given up; None where nobody is to be told any more."""
        attempts, failures = owed.attempts, 0
        patience, world, channel = self._patience, self._world, self._channel
        while (listener := self._listener) is not None:
            written, code, why = await self._attempt(listener, owed)
            attempts += written
            if code in ("AA", "CA"):
                return Said(owed.message_id, OwedState.SAID, attempts, owed.place)
            if self._listener is not listener:
                continue  # it was hung up on, so what it did says nothing
            too_old = world.now_us() - owed.owed_at_us > patience.owed_max_s * 1e6
            if code in ("AR", "CR") or attempts >= patience.attempts_max or too_old:
                log.error(
                    "application-ack-given-up",
                    channel=channel,
                    message=owed.message_id,
                    code=owed.code,
                    attempts=attempts,
                    reason=why,
                )
                return Said(owed.message_id, OwedState.GIVEN_UP, attempts, owed.place)
            failures += 1
            if failures == 1:
                log.warning("application-ack-not-taken", channel=channel, message=owed.message_id, reason=why)
            await world.pause(patience.retry.wait_s(failures, world.chance()))
        return None

    async def _attempt(self, listener: BackChannel, owed: ToSend) -> tuple[bool, str, str]:
        """One attempt: whether it was written to a connection, what the listener said, and why not."""
        try:
            reply = await listener.ask(
                owed.answer, lambda block: Acknowledged.read(block).control_id == owed.control_id
            )
        except PeerSilent as error:
            return True, "", str(error)
        except PeerUnavailable as error:
            return False, "", str(error)
        code = Acknowledged.read(reply).code
        known = code in ("AA", "AE", "AR", "CA", "CE", "CR")
        return True, code, f"answered {code}" if known else "answered without a code"

    async def _written(self, said: Said) -> None:
        while True:
            try:
                return await self._journal.submit(SAID, said)
            except JournalUnavailable as error:
                log.error("journal-unavailable", channel=self._channel, reason=str(error))
                await self._world.pause(JOURNAL_WAIT_S)
