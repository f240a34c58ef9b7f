"""Intake: decide what a block is, journal it, then answer.

Only the header is read here. An answer of AA says that the message is on disk, and nothing more; AR says
that it must not come again as it is; AE that it could not be kept and should come again. In enhanced mode CA,
CR and CE say so, and an application acknowledgement follows where the sender asks for one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import structlog
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from bridge.config.topology import Channel
from bridge.delivery.state import MessageState
from bridge.formats.base import Format, Header, ReadProblem
from bridge.formats.hl7v2_ack import AckCode, AckError, MshPeek, acknowledge, peek
from bridge.formats.hl7v2_ack_modes import Asked, Fate, Told, asked, told
from bridge.formats.hl7v2_sequence import Sequences
from bridge.journal.batches import NOTE_BATCHES, CameBatches
from bridge.journal.flags import RESENT
from bridge.journal.journal import Journal
from bridge.journal.messages import ANSWERED, RECEIVE, Answered, Receipt, Untranslated
from bridge.journal.owed_answers import SAID, Owed, OwedState, Said
from bridge.journal.repeats import Arrival
from bridge.journal.would_refuse import would_be
from bridge.journal.writer import LAZY_S
from bridge.message import CONTROL_ID_MAX_CHARACTERS, Microseconds, Received
from bridge.observe.metrics import Metrics
from bridge.runtime.answers import CONFIRMED, UNCONFIRMED, Answers
from bridge.runtime.batch_answers import BEGINNINGS, BatchAnswer, batch_answer, read_batch
from bridge.runtime.feed import Feed
from bridge.runtime.staging import Staging
from bridge.runtime.surroundings import Surroundings
from bridge.runtime.translate import Translate
from bridge.transports.base import Answer, Flaw

log = structlog.get_logger("bridge.intake")

MESSAGE_TYPE_MAX_CHARACTERS = 32
TRACE_ID_BYTES = 16
SENDER_MAX_BYTES = 256

QUERIES = frozenset({"QBP", "QRY", "QCK", "QCN", "QSB", "QVR", "SPQ", "VQQ", "EQQ", "RQQ", "RQI", "OSQ"})
"""Message codes of queries (HL7 table 0076): what the old engine says to them is all that they are for."""

NO_CONTROL_ID = "no-control-id"
ODD_CONDITION = "unknown-acknowledgement-condition"
CANNOT_JOURNAL = AckError("207", "The message could not be stored; send it again.")


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a block: its first state, the answer in original mode, and why. ``code`` is None for no
    answer in any mode."""

    state: MessageState
    code: AckCode | None
    reason: str = ""
    error: AckError | None = None


QUERY_WITHIN_S = 30.0
"""How long a query is kept waiting for the old engine, where its channel says nothing."""

ACCEPTED = Decision(MessageState.RECEIVED, AckCode.AA)


def decide(header: MshPeek | Header, beginning: bytes, flaw: Flaw | None, channel: Channel) -> Decision:
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


def _first_component(header: MshPeek | Header, field: bytes) -> str:
    return field.partition(header.encoding_characters[:1] or b"^")[0].decode("ascii", "replace")


def _reject(reason: str, code: str, text: str, location: str = "") -> Decision:
    return Decision(MessageState.REFUSED, AckCode.AR, reason, AckError(code, text, location))


def _strictly(decision: Decision, objection: ReadProblem | None) -> Decision:
    """The decision of a strict channel, with what it objects to in a message."""
    if objection is None:
        return decision
    code = {"MSH-18": "103", "MSH-2": "102"}.get(objection.path, "100")
    place = f" ({objection.path})" if objection.path.startswith("line ") else ""
    text = f"This channel is strict: {objection.text}{place}."
    return _reject(f"not-strict: {objection.code}", code, text, objection.path)


def _is_query(header: MshPeek) -> bool:
    return header.message_code_event.partition("^")[0] in QUERIES


def _relaying(decision: Decision, header: MshPeek) -> Decision:
    """What becomes of a message that the old engine gets: what the bridge has no use for is relayed only, and
    what it would refuse by itself is noted as that."""
    if _is_query(header):
        return Decision(MessageState.RELAYED, AckCode.AA, "query")
    if decision.state is MessageState.RECEIVED:
        return decision
    refused = decision.state is MessageState.REFUSED
    return Decision(
        MessageState.RELAYED, AckCode.AA, would_be(decision.reason) if refused else decision.reason
    )


def _is_bare_acknowledgement(header: MshPeek, decision: Decision) -> bool:
    """An acknowledgement that is not for us and does not ask for one itself; if it had one all the same, two
    systems could answer each other for ever."""
    asks = header.accept_acknowledgement or header.application_acknowledgement
    if decision.state is not MessageState.REFUSED or asks:
        return False
    return header.message_code_event.partition("^")[0] == "ACK"


def _sender(header: MshPeek) -> tuple[bytes, bytes]:
    """Who numbers its messages, short enough to be remembered whatever it sends."""
    return header.sending_application[:SENDER_MAX_BYTES], header.sending_facility[:SENDER_MAX_BYTES]


class _Taken(NamedTuple):
    """A block with all that its answer is made from. ``waits`` tells that its fate is not known yet, ``fed``
    that the old engine gets it, and ``relayed`` that its sender hears what that says."""

    header: MshPeek
    decision: Decision
    asks: Asked
    waits: bool
    fed: bool = False
    relayed: bool = False

    @property
    def fate(self) -> Fate:
        return Fate.REFUSED if self.decision.code is AckCode.AR else Fate.DONE

    @property
    def told(self) -> Told:
        """What is said of it now, and later."""
        return Told(None) if self.decision.code is None else told(self.asks, self.fate)


def _untranslated(receipt: Receipt, arrival: Arrival) -> Untranslated:
    return Untranslated(
        receipt.message_id,
        arrival.body,
        receipt.flags,
        receipt.replay_of,
        arrival.tolerated,
        arrival.trace_id,
        arrival.received_at_us,
    )


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
        owed: Callable[[], None] = lambda: None,
        *,
        engine: tuple[Staging, Feed],
    ) -> None:
        """``owed`` is called when the journal has something for the sender's listener."""
        self._staging, self._feed = engine
        self._journal, self._translate, self._world, self._owed = journal, translate, world, owed
        self._answers, self._metrics = answers, metrics
        self._resend_until_us: Microseconds | None = None
        self._sequences = Sequences()
        self._name = channel.name.encode()
        self.use(channel)

    def use(self, channel: Channel) -> None:
        """Judge from now on by what this channel says; it has the same name."""
        self._channel, self._to_listener = channel, channel.application_ack is not None
        self._window_us = int(channel.duplicates_window_s * 1e6)
        self._format: Format = channel.reads()

    def allow_resend(self, until_us: Microseconds | None) -> None:
        """Take repeats for new messages until then, because a person asked the sender to send again."""
        self._resend_until_us = until_us

    def take(self, received: Received, flaw: Flaw | None = None) -> Deferred[Answer]:
        """Journal a block, then say what to answer; never silence where the sender waits for one."""
        if received.body[:3] in BEGINNINGS and flaw is None and self._takes_batches:
            return Deferred.fromCoroutine(self._take_batch(received))
        header = peek(received.body)
        return self._take(received, header, decide(header, received.body[:3], flaw, self._channel), flaw)

    @property
    def _takes_batches(self) -> bool:
        # The old engine gets what came, byte for byte, and so no parts of it.
        return self._channel.batches_in_blocks and not self._staging.feeds

    async def _take_batch(self, received: Received) -> Answer:
        """The messages of a block, each by itself, and one answer to all."""
        held = self._channel.batch_release == "after_balance"
        read = read_batch(self._format, received.body, balanced=held)
        if isinstance(read, str):
            return await self._take(received, peek(received.body), _reject("batch", "100", read), None)
        taking = []
        for piece in read.pieces:
            header = peek(piece.body)
            decision = decide(header, piece.body[:3], None, self._channel)
            taking.append(self._take(received._replace(body=piece.body), header, decision, None))
        answers = [await each for each in taking]
        note = CameBatches(self._channel.name, tuple(read.batches), received.received_at_us)
        self._journal.hand_in(NOTE_BATCHES, note, self._noted, within_s=LAZY_S)
        return batch_answer(answers, self._world.control_id(), self._world.now_us())

    def _take(
        self, received: Received, header: MshPeek, decision: Decision, flaw: Flaw | None
    ) -> Deferred[Answer]:
        channel = self._channel
        self._translate.begin_live()
        if decision.state is not MessageState.REFUSED:
            decision = _strictly(decision, self._format.objection(received.body, received.tolerated))
        fed = self._staging.feeds and flaw is None
        if fed:
            decision = _relaying(decision, header)
        if channel.acknowledge == "never" or _is_bare_acknowledgement(header, decision):
            decision = replace(decision, code=None)
        asks = asked(channel.mode, header.accept_acknowledgement, header.application_acknowledgement)
        waits = self._answers.waits and decision.state is MessageState.RECEIVED
        if asks.enhanced and not any(told(asks, fate).later for fate in (Fate.DONE, Fate.FAILED)):
            waits = False
        relayed = fed and decision.code is not None
        relayed = relayed and (self._staging.relays_answers or _is_query(header))
        if relayed:
            asks, waits = asked("original", b"", b""), True
        taken = _Taken(header, decision, asks, waits, fed, relayed)
        arrival = self._arrival(received, taken)
        journaled = self._journal.submit(RECEIVE, arrival)
        return journaled.addCallbacks(
            self._journaled, self._unjournaled, callbackArgs=(arrival, taken), errbackArgs=(taken,)
        )

    def _arrival(self, received: Received, taken: _Taken) -> Arrival:
        header, decision = taken.header, taken.decision
        control_id, world, facts = header.control_id, self._world, self._journal.facts
        # Without a control ID nothing tells a repeat from a message that says the same again, and one
        # that was refused is still the sender's: both are processed.
        tells_repeats = bool(control_id) and decision.state is not MessageState.REFUSED
        tells_repeats = tells_repeats and not (taken.fed and _is_query(header))
        now_us = received.received_at_us
        resent = self._resend_until_us is not None and now_us < self._resend_until_us
        code = taken.told.first if taken.asks.enhanced or not taken.waits else None
        flags = (
            self._judge_sequence(header) if header.sequence_number and decision.reason != "truncated" else "",
            "" if control_id else NO_CONTROL_ID,
            RESENT if resent else "",
            ODD_CONDITION if taken.asks.odd and header.readable else "",
        )
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
            flags=" ".join(filter(None, flags)),
            trace_id=world.random_bytes(TRACE_ID_BYTES),
            answer=self._acknowledge(header, code, decision.error) if code else None,
            answer_code=code or "",
            control_ids_unique=self._channel.control_ids_unique and not resent,
            owed=self._owe(taken) if taken.asks.enhanced else None,
            tolerated="" if self._format.strict else " ".join(received.tolerated),
            feed_line=self._line(received) if taken.fed else None,
        )

    def _line(self, received: Received) -> str:
        """Whose order a message stands in: its connection's, of this start of the node."""
        return f"{received.peer} {self._journal.facts.starts}.{received.connection}"

    def _judge_sequence(self, header: MshPeek) -> str:
        odd = self._sequences.judge(_sender(header), header.sequence_number)
        if odd:
            self._metrics.sequence.labels(self._channel.name, odd).inc()
        return odd

    def _owe(self, taken: _Taken) -> Owed | None:
        """The application acknowledgement that is owed for a message, known already or still to come."""
        if taken.waits:
            return Owed(taken.asks.application, self._to_listener)
        if (code := taken.told.later) is None:
            return None
        control_id = self._world.control_id()
        answer = acknowledge(
            taken.header,
            code,
            control_id=control_id,
            at_us=self._world.now_us(),
            error=taken.decision.error,
            asks=CONFIRMED if self._to_listener else UNCONFIRMED,
        )
        return Owed(taken.asks.application, self._to_listener, code, control_id, answer, final=True)

    def _acknowledge(self, header: MshPeek, code: AckCode, error: AckError | None) -> bytes:
        now_us = self._world.now_us()
        return acknowledge(header, code, control_id=self._world.control_id(), at_us=now_us, error=error)

    def _journaled(self, receipt: Receipt, arrival: Arrival, taken: _Taken) -> Answer | Deferred[Answer]:
        self._metrics.messages.count(arrival.channel, receipt.state)
        if arrival.answer_code:
            self._metrics.answers.count(arrival.channel, arrival.answer_code)
        answer: Answer | Deferred[Answer]
        if taken.asks.enhanced:
            answer = Answer(receipt.answer, receipt.message_id, self._later(receipt, arrival, taken))
        elif taken.waits and receipt.answer is None:
            answer = self._awaited(receipt, taken.header, relayed=taken.relayed)
        else:
            # A repeat of a message from before the channel said `never` has an answer that nobody wants.
            answer = Answer(receipt.answer if taken.decision.code else None, receipt.message_id)
        if receipt.state is MessageState.RECEIVED:
            known = self._translate.offer(_untranslated(receipt, arrival))
            if known and taken.waits:
                self._answers.catch_up(receipt.message_id)
        else:
            self._metrics.tolerate(arrival.channel, arrival.tolerated)
        if receipt.feed_id is not None:
            told = not taken.relayed
            self._feed.offer(
                receipt.feed_id, receipt.message_id, arrival.feed_line or "", arrival.body, told=told
            )
        if receipt.state is MessageState.REFUSED:
            log.warning("refused", channel=arrival.channel, message=receipt.message_id, reason=arrival.reason)
        return answer

    def _awaited(self, receipt: Receipt, header: MshPeek, *, relayed: bool) -> Deferred[Answer]:
        """The one answer of original mode, once it is known what becomes of the message."""
        if relayed:
            first = receipt.message_id if receipt.duplicate_of is None else receipt.duplicate_of
            return self._feed.expect(
                first, header, self._channel.answer_within_s or QUERY_WITHIN_S
            ).addCallback(lambda answer: replace(answer, message_id=receipt.message_id))
        if receipt.duplicate_of is None:
            return self._answers.expect(receipt.message_id, header)
        return self._answers.repeated(receipt.duplicate_of, header).addCallback(
            lambda answer: replace(answer, message_id=receipt.message_id)
        )

    def _later(self, receipt: Receipt, arrival: Arrival, taken: _Taken) -> Deferred[Answer] | None:
        """The application acknowledgement that follows on the same connection, if one does."""
        if taken.decision.code is None:
            return None
        if receipt.duplicate_of is not None:
            return self._answers.again(receipt.duplicate_of, taken.header, taken.asks)
        if taken.waits:
            return self._answers.follow(receipt.message_id, taken.header, taken.asks)
        if arrival.owed is None:
            return None
        self._metrics.answers.count(arrival.channel, arrival.owed.code)
        if self._to_listener:
            self._owed()
            return None
        return succeed(Answer(arrival.owed.answer, receipt.message_id, application=True))

    def _unjournaled(self, failure: Failure, taken: _Taken) -> Answer:
        log.error("not-journaled", channel=self._channel.name, reason=str(failure.value))
        self._metrics.unjournaled.labels(self._channel.name).inc()
        self._sequences.forget(_sender(taken.header))  # it comes again, under the same number
        if self._channel.acknowledge == "never":
            return Answer(None, None, cut=True)
        if taken.decision.code is None:
            return Answer(None, None)
        says = told(taken.asks, Fate.UNSTORED)
        code = says.first or says.later
        if code is None:
            return Answer(None, None, cut=True)
        self._metrics.answers.count(self._channel.name, code)
        return Answer(self._acknowledge(taken.header, code, CANNOT_JOURNAL), None)

    def answered(self, answer: Answer, reached_socket: bool) -> None:
        """Note in the journal whether an answer reached its socket."""
        for each in answer.parts if isinstance(answer, BatchAnswer) else ():
            self.answered(each, reached_socket)
        if isinstance(answer, BatchAnswer):
            return
        if not reached_socket:
            self._metrics.answers_unreached.labels(self._channel.name).inc()
        if answer.message_id is None:
            return
        if answer.application:
            state = OwedState.SAID if reached_socket else OwedState.UNREACHED
            self._journal.hand_in(SAID, Said(answer.message_id, state), self._noted, within_s=LAZY_S)
        else:
            noted = Answered(answer.message_id, reached_socket)
            self._journal.hand_in(ANSWERED, noted, self._noted, within_s=LAZY_S)

    def _noted(self, end: Exception | None) -> None:
        if end is not None:
            log.warning("answer-not-noted", channel=self._channel.name, reason=str(end))
