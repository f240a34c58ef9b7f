"""Intake: decide what a block is, journal it, then answer.

Only the header is read here. An answer of AA says that the message is on disk, and nothing more; AR says
that it must not come again as it is; AE that it could not be kept and should come again.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from bridge.config.topology import Channel
from bridge.delivery.state import MessageState
from bridge.formats.hl7v2_ack import AckCode, AckError, MshPeek, acknowledge, peek
from bridge.journal.journal import Journal
from bridge.journal.messages import ANSWERED, RECEIVE, Answered, Receipt, Untranslated
from bridge.journal.repeats import Arrival
from bridge.message import Microseconds, Received
from bridge.observe.metrics import Metrics
from bridge.runtime.answers import Answers
from bridge.runtime.surroundings import Surroundings
from bridge.runtime.translate import Translate
from bridge.transports.base import Answer, Flaw

log = structlog.get_logger("bridge.intake")

CONTROL_ID_MAX_CHARACTERS = 199
MESSAGE_TYPE_MAX_CHARACTERS = 32
TRACE_ID_BYTES = 16

NO_CONTROL_ID = "no-control-id"
RESENT = "resent"
CANNOT_JOURNAL = AckError("207", "The message could not be stored; send it again.")


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a block: its first state, the answer, and why. ``code`` is None for no answer."""

    state: MessageState
    code: AckCode | None
    reason: str = ""
    error: AckError | None = None


ACCEPTED = Decision(MessageState.RECEIVED, AckCode.AA)


def decide(header: MshPeek, beginning: bytes, flaw: Flaw | None, channel: Channel) -> Decision:
    """What becomes of a block with this header, or this ``beginning``, on this channel (HL7 table 0357)."""
    if flaw == "truncated":
        # Its sender has given it up and sent another; an answer would be taken for that one's.
        return Decision(MessageState.REFUSED, None, "truncated")
    if flaw == "oversized":
        return _reject("oversized", "207", "The message is larger than this channel takes.")
    if beginning in (b"FHS", b"BHS"):
        return _reject("batch", "100", "This is a batch; send its messages one by one.")
    if not header.readable:
        return _reject("not-hl7", "100", "The message does not begin with a readable MSH segment.")
    event = header.message_code_event
    if not event:
        return _reject("no-message-type", "101", "MSH-9 names no message type.", "MSH-9")
    if (
        channel.processing_ids
        and _first_component(header, header.processing_id) not in channel.processing_ids
    ):
        return _reject("processing-id", "202", "This processing ID is not taken here.", "MSH-11")
    version = _first_component(header, header.version)
    if version and channel.versions and version not in channel.versions:
        return _reject("version", "203", "This HL7 version is not taken here.", "MSH-12")
    if not channel.accepts(event):
        match channel.otherwise:
            case "ignore":
                return Decision(MessageState.IGNORED, AckCode.AA, "type-not-accepted")
            case "quarantine":
                return Decision(MessageState.QUARANTINED, AckCode.AA, "type-not-accepted")
        codes = {accepted.partition("^")[0] for accepted in channel.accept}
        code = "201" if event.partition("^")[0] in codes else "200"
        return _reject("type-not-accepted", code, "This message type is not taken here.", "MSH-9")
    return ACCEPTED


def _first_component(header: MshPeek, field: bytes) -> str:
    return field.partition(header.encoding_characters[:1] or b"^")[0].decode("ascii", "replace")


def _reject(reason: str, code: str, text: str, location: str = "") -> Decision:
    return Decision(MessageState.REFUSED, AckCode.AR, reason, AckError(code, text, location))


class Intake:
    """The door of one channel."""

    def __init__(
        self,
        channel: Channel,
        journal: Journal,
        translate: Translate,
        answers: Answers,
        metrics: Metrics,
        world: Surroundings,
    ) -> None:
        self._journal, self._translate, self._world = journal, translate, world
        self._answers, self._metrics = answers, metrics
        self._resend_until_us: Microseconds | None = None
        self._name = channel.name.encode()
        self.use(channel)

    def use(self, channel: Channel) -> None:
        """Judge from now on by what this channel says; it has the same name."""
        self._channel = channel
        self._window_us = int(channel.duplicates_window_s * 1e6)

    def allow_resend(self, until_us: Microseconds | None) -> None:
        """Take repeats for new messages until then, because a person asked the sender to send again."""
        self._resend_until_us = until_us

    def take(self, received: Received, flaw: Flaw | None = None) -> Deferred[Answer]:
        """Journal a block, then say what to answer; never silence where the sender waits for one."""
        header = peek(received.body)
        decision = decide(header, received.body[:3], flaw, self._channel)
        arrival = self._arrival(received, header, decision)
        journaled = self._journal.submit(RECEIVE, arrival)
        return journaled.addCallbacks(
            self._journaled, self._unjournaled, callbackArgs=(arrival, header), errbackArgs=(header, decision)
        )

    def _arrival(self, received: Received, header: MshPeek, decision: Decision) -> Arrival:
        control_id, world, facts = header.control_id, self._world, self._journal.facts
        # Without a control ID nothing tells a repeat from a message that says the same again, and one
        # that was refused is still the sender's: both are processed.
        tells_repeats = bool(control_id) and decision.state is not MessageState.REFUSED
        now_us = received.received_at_us
        resent = self._resend_until_us is not None and now_us < self._resend_until_us
        waits = self._answers.waits and decision.state is MessageState.RECEIVED
        code = None if waits else decision.code
        return Arrival(
            channel=received.channel,
            received_at_us=received.received_at_us,
            peer=received.peer,
            message_type=header.message_code_event[:MESSAGE_TYPE_MAX_CHARACTERS],
            control_id=control_id.decode("utf-8", "replace")[:CONTROL_ID_MAX_CHARACTERS],
            body=received.body,
            fingerprint=facts.hash(received.body),
            repeat_hash=facts.hash(self._name, control_id) if tells_repeats else None,
            repeats_since_us=now_us if resent else now_us - self._window_us,
            state=decision.state,
            reason=decision.reason,
            flags=" ".join(filter(None, ("" if control_id else NO_CONTROL_ID, RESENT if resent else ""))),
            trace_id=world.random_bytes(TRACE_ID_BYTES),
            answer=self._acknowledge(header, code, decision.error) if code else None,
            answer_code=code or "",
            control_ids_unique=self._channel.control_ids_unique and not resent,
        )

    def _acknowledge(self, header: MshPeek, code: AckCode, error: AckError | None) -> bytes:
        control_id = self._world.random_bytes(8).hex().upper()
        return acknowledge(header, code, control_id=control_id, at_us=self._world.now_us(), error=error)

    def _journaled(self, receipt: Receipt, arrival: Arrival, header: MshPeek) -> Answer | Deferred[Answer]:
        self._metrics.messages.labels(arrival.channel, receipt.state).inc()
        waits = arrival.answer is None and self._answers.waits
        if waits and receipt.state is MessageState.RECEIVED:
            answer = self._answers.expect(receipt.message_id, header)
            self._translate.offer(Untranslated(receipt.message_id, arrival.body, receipt.flags))
            return answer
        if waits and receipt.duplicate_of is not None and receipt.answer is None:
            return self._answers.repeated(receipt.duplicate_of, header).addCallback(
                lambda answer: Answer(answer.data, receipt.message_id)
            )
        self._metrics.answers.labels(arrival.channel, arrival.answer_code).inc()
        if receipt.state is MessageState.RECEIVED:
            self._translate.offer(Untranslated(receipt.message_id, arrival.body, receipt.flags))
        elif receipt.state is MessageState.REFUSED:
            log.warning("refused", channel=arrival.channel, message=receipt.message_id, reason=arrival.reason)
        return Answer(receipt.answer, receipt.message_id)

    def _unjournaled(self, failure: Failure, header: MshPeek, decision: Decision) -> Answer:
        log.error("not-journaled", channel=self._channel.name, reason=str(failure.value))
        self._metrics.unjournaled.labels(self._channel.name).inc()
        if decision.code is None:
            return Answer(None, None)
        self._metrics.answers.labels(self._channel.name, AckCode.AE).inc()
        return Answer(self._acknowledge(header, AckCode.AE, CANNOT_JOURNAL), None)

    def answered(self, answer: Answer, reached_socket: bool) -> None:
        """Note in the journal whether an answer reached its socket."""
        if not reached_socket:
            self._metrics.answers_unreached.labels(self._channel.name).inc()
        if answer.message_id is not None:
            noted = self._journal.submit(ANSWERED, Answered(answer.message_id, reached_socket), lazy=True)
            noted.addErrback(self._not_noted)

    def _not_noted(self, failure: Failure) -> None:
        log.warning("answer-not-noted", channel=self._channel.name, reason=str(failure.value))
