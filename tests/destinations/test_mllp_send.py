"""Sending over MLLP: what an answer means, whose it is, and what becomes of a connection."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mllp_peers import KEY, ORIGIN, TRACEPARENT, message, receiving, sender, sent
from pydantic import ValidationError
from reactor_tests import in_reactor, pause, until
from twisted.internet.defer import CancelledError, Deferred

from bridge.cli.fake_mllp import Fault
from bridge.component import SEND_ORIGINAL
from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations import mllp_send_line
from bridge.destinations.base import RequestRefused
from bridge.destinations.in_loop import in_loop
from bridge.destinations.mllp_send import MllpReceiver
from bridge.destinations.mllp_send_line import STRAY_ANSWERS_MAX_COUNT
from bridge.formats.hl7v2_answer import read_answer
from bridge.formats.mllp_framing import frame
from bridge.message import Record

DELIVERED = Outcome(Verdict.DELIVERED, "answered-aa")
TIMEOUT = Outcome(Verdict.AMBIGUOUS, "answer-timeout")
UNREADABLE = Outcome(Verdict.AMBIGUOUS, "answer-unreadable")
ANOTHERS = Outcome(Verdict.AMBIGUOUS, "answer-for-another-message")
DISCONNECTED = Outcome(Verdict.AMBIGUOUS, "disconnected")
MSH = b"MSH|^~\\&|C|D|A|B|20240102||ACK|9|P|2.5\r"


def raw(text: bytes) -> Fault:
    return Fault("raw", text=text.decode("latin-1"))


ANSWERS: list[tuple[str, Fault | None, dict[str, Any], Outcome]] = [
    ("taken", None, {}, DELIVERED),
    ("taken, byte by byte", Fault("split"), {}, DELIVERED),
    ("taken late, but in time", Fault("late", seconds=0.05), {}, DELIVERED),
    ("committed", Fault("answer", "CA"), {}, Outcome(Verdict.DELIVERED, "answered-ca")),
    ("AE", Fault("answer", "AE"), {}, Outcome(Verdict.RETRY, "answered-ae")),
    ("CE", Fault("answer", "CE"), {}, Outcome(Verdict.RETRY, "answered-ce")),
    ("AE is final", Fault("answer", "AE"), {"on_ae": "quarantine"}, Outcome(Verdict.POISON, "answered-ae")),
    ("AR", Fault("answer", "AR"), {}, Outcome(Verdict.POISON, "answered-ar")),
    ("CR", Fault("answer", "CR"), {}, Outcome(Verdict.POISON, "answered-cr")),
    ("AR passes", Fault("answer", "AR"), {"on_ar": "retry"}, Outcome(Verdict.RETRY, "answered-ar")),
    ("a code that is none", Fault("answer", "AX"), {}, UNREADABLE),
    ("a code in small letters", Fault("answer", "aa"), {}, UNREADABLE),
    ("no message", Fault("garbage"), {}, UNREADABLE),
    ("an empty block", raw(frame(b"")), {}, UNREADABLE),
    ("no MSA", raw(frame(MSH)), {}, UNREADABLE),
    ("two MSA", raw(frame(MSH + b"MSA|AA|C1\rMSA|AE|C1\r")), {}, UNREADABLE),
    (
        "an answer that is too large",
        raw(frame(MSH + b"MSA|AA|C1|" + b"x" * 2000)),
        {"max_answer": 1024},
        UNREADABLE,
    ),
    ("no block, without an end", raw(b"junk" * 2000), {}, UNREADABLE),
    ("under no control ID", raw(frame(MSH + b"MSA|AA|\r")), {}, ANOTHERS),
    ("under a control ID that begins like ours", raw(frame(MSH + b"MSA|AA|C11\r")), {}, ANOTHERS),
    ("under another control ID", Fault("stranger"), {}, ANOTHERS),
    ("no CR at the end of the block", raw(frame(MSH + b"MSA|AA|C1\r")[:-1]), {}, DELIVERED),
    ("never", Fault("never"), {"answer_within": "50ms"}, TIMEOUT),
    ("half an answer", raw(b"\x0b" + MSH + b"MSA|AA|C1\r"), {"answer_within": "50ms"}, TIMEOUT),
    ("closed without an answer", Fault("lose"), {}, DISCONNECTED),
    ("closed at once", Fault("cut"), {}, DISCONNECTED),
    ("answered, and closed", Fault("close"), {}, DELIVERED),
]


@pytest.mark.parametrize(
    ("fault", "options", "outcome"), [row[1:] for row in ANSWERS], ids=[row[0] for row in ANSWERS]
)
@in_reactor
async def test_an_answer_means_this(fault: Fault | None, options: dict[str, Any], outcome: Outcome) -> None:
    async with receiving(**options) as (receiver, destination):
        if fault is not None:
            receiver.plant(fault)
        assert await sent(destination, message()) == outcome
        assert [each.body for each in receiver.blocks] == [message()]


@pytest.mark.parametrize(
    "fault",
    [row[1] for row in ANSWERS if row[3] not in (DELIVERED, TIMEOUT) and row[1] is not None],
    ids=[row[0] for row in ANSWERS if row[3] not in (DELIVERED, TIMEOUT) and row[1] is not None],
)
@in_reactor
async def test_whatever_was_answered_the_next_message_gets_its_own_answer(fault: Fault) -> None:
    async with receiving(max_answer=1024) as (receiver, destination):
        receiver.plant(fault, Fault("answer", "AE", control_id="C2"))
        await sent(destination, message("C1"))
        assert await sent(destination, message("C2")) == Outcome(Verdict.RETRY, "answered-ae")
        assert await sent(destination, message("C3")) == DELIVERED


@in_reactor
async def test_bytes_go_as_they_came_over_one_connection_in_one_block_each() -> None:
    bodies = [
        message("C1"),
        message("C2", "M\xdcLLER\xff\xfe"),
        b"\xef\xbb\xbf" + message("C3").replace(b"\r", b"\r\n"),
        message("C4").rstrip(b"\r"),
        b"MSH#*~\\&#A#B#C#D#1##ADT*A01#C5#P#2.3\r",
    ]
    async with receiving() as (receiver, destination):
        for body in bodies:
            assert destination.prepare(SEND_ORIGINAL, body, ORIGIN) == body
            assert await sent(destination, body) == DELIVERED
        assert [each.body for each in receiver.blocks] == bodies
        assert receiver.connections == 1


REFUSED = [
    ("the start byte", b"MSH|^~\\&|A|B|C|D|1||ADT^A01|C1|P|2.5\rOBX|\x0b\r"),
    ("the end byte", b"MSH|^~\\&|A|B|C|D|1||ADT^A01|C1|P|2.5\rOBX|\x1c\r"),
    ("no control ID", message("")),
    ("no header", b"PID|1"),
    ("nothing", b""),
    ("too much", message("C1", "x" * 2000)),
]


@pytest.mark.parametrize("body", [row[1] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_message_that_could_be_taken_for_another_is_refused_before_it_is_journaled(body: bytes) -> None:
    with pytest.raises(RequestRefused):
        sender("tcp:127.0.0.1:9", max_message=1024).prepare(SEND_ORIGINAL, body, ORIGIN)


def test_a_record_is_no_message() -> None:
    with pytest.raises(RequestRefused, match="takes messages"):
        sender("tcp:127.0.0.1:9").prepare(SEND_ORIGINAL, Record("patient", "1", "upsert", {}), ORIGIN)


# Whose an answer is.


@pytest.mark.parametrize("following", ["C2", "C1"], ids=["another control ID", "the same, as of a new count"])
@in_reactor
async def test_a_late_answer_is_never_that_of_the_next_message(following: str) -> None:
    async with receiving(answer_within="100ms") as (receiver, destination):
        receiver.plant(Fault("late", seconds=0.3), Fault("never"))
        assert await sent(destination, message("C1", "FIRST")) == TIMEOUT
        assert await sent(destination, message(following, "SECOND")) == TIMEOUT
        assert {each.connection for each in receiver.blocks} == {1, 2}
        await pause(0.3)


@in_reactor
async def test_an_answer_that_comes_twice_is_not_that_of_the_next_message() -> None:
    async with receiving() as (receiver, destination):
        receiver.plant(Fault("twice"), Fault("answer", "AR"))
        assert (delivered := await sent(destination, message("C1"))) == DELIVERED
        assert delivered.answer is None
        refused = await sent(destination, message("C2"))
        assert refused == Outcome(Verdict.POISON, "answered-ar")
        assert refused.answer is not None
        assert b"\rMSA|AR|C2" in refused.answer.body
        assert receiver.connections == 1, "an answer for a message before is let go"


@in_reactor
async def test_an_answer_that_comes_twice_is_not_that_of_the_next_message_of_the_same_control_id() -> None:
    async with receiving() as (receiver, destination):
        receiver.plant(Fault("twice"), Fault("answer", "AR"))
        assert await sent(destination, message("C1", "FIRST")) == DELIVERED
        assert await sent(destination, message("C1", "SECOND")) == Outcome(Verdict.POISON, "answered-ar")
        assert [each.connection for each in receiver.blocks] == [1, 2], "a control ID is used once on each"


@in_reactor
async def test_an_answer_ahead_of_its_message_is_not_its_answer() -> None:
    async with receiving() as (receiver, destination):
        receiver.plant(Fault("ahead", text="C2"), Fault("answer", "AR"))
        assert await sent(destination, message("C1")) == DELIVERED
        assert await sent(destination, message("C2")) == Outcome(Verdict.POISON, "answered-ar")
        assert [each.connection for each in receiver.blocks] == [1, 2]


@in_reactor
async def test_the_answer_of_the_message_before_is_let_go_and_the_right_one_waited_for() -> None:
    async with receiving() as (receiver, destination):
        assert await sent(destination, message("C1")) == DELIVERED
        receiver.plant(Fault("before"))
        assert await sent(destination, message("C2")) == DELIVERED


@in_reactor
async def test_a_receiver_that_repeats_an_old_answer_for_ever_is_not_listened_to_for_ever() -> None:
    async with receiving() as (receiver, destination):
        assert await sent(destination, message("C1")) == DELIVERED
        receiver.plant(raw(frame(MSH + b"MSA|AA|C1\r") * (STRAY_ANSWERS_MAX_COUNT + 2)))
        outcome = await sent(destination, message("C2"))
        assert outcome.verdict is Verdict.AMBIGUOUS


@pytest.mark.parametrize("read", [True, False], ids=["read meanwhile", "not read yet"])
@pytest.mark.parametrize(
    "said",
    [frame(MSH + b"MSA|AA|C2\r"), b"\x0b" + MSH, b"junk", frame(b"")],
    ids=["an answer ahead", "half an answer", "junk", "an empty block"],
)
@in_reactor
async def test_what_a_receiver_says_unasked_is_no_answer(said: bytes, read: bool) -> None:
    async with receiving() as (receiver, destination):
        assert await sent(destination, message("C1")) == DELIVERED
        receiver.say(said)
        if read:
            await pause(0.05)
        receiver.plant(Fault("answer", "AR"))
        assert await sent(destination, message("C2")) == Outcome(Verdict.POISON, "answered-ar")


@given(code=st.text(max_size=3), control_id=st.text(max_size=4), tail=st.binary(max_size=20))
def test_any_block_is_an_answer_or_none(code: str, control_id: str, tail: bytes) -> None:
    body = MSH + f"MSA|{code}|{control_id}".encode() + tail
    answer = read_answer(body)
    assert answer is None or answer.code in {"AA", "AE", "AR", "CA", "CE", "CR"}
    assert read_answer(tail) is None


# Enhanced mode.

APPLICATION: list[tuple[Fault | None, Outcome]] = [
    (Fault("commit", "AA", 0.05), DELIVERED),
    (Fault("commit", "AE"), Outcome(Verdict.RETRY, "answered-ae")),
    (Fault("commit", "AR"), Outcome(Verdict.POISON, "answered-ar")),
    (Fault("answer", "CE"), Outcome(Verdict.RETRY, "answered-ce")),
    (Fault("answer", "CR"), Outcome(Verdict.POISON, "answered-cr")),
    (Fault("answer", "CA"), Outcome(Verdict.AMBIGUOUS, "application-answer-timeout")),
    (None, DELIVERED),
]


@pytest.mark.parametrize(("fault", "outcome"), APPLICATION)
@in_reactor
async def test_with_wait_for_application_what_follows_a_commit_decides(
    fault: Fault | None, outcome: Outcome
) -> None:
    async with receiving(wait_for="application", answer_within="200ms") as (receiver, destination):
        if fault is not None:
            receiver.plant(fault)
        assert await sent(destination, message()) == outcome


@in_reactor
async def test_an_application_answer_that_asks_for_it_is_accepted() -> None:
    async with receiving(wait_for="application") as (receiver, destination):
        receiver.plant(Fault("commit", "AA", text="AL"))
        assert await sent(destination, message()) == DELIVERED
        await until(lambda: len(receiver.blocks) == 2, "the receiver got its accept acknowledgement")
        said = read_answer(receiver.blocks[1].body)
        assert said is not None
        assert (said.code, said.control_id) == ("CA", b"FAKE")


@in_reactor
async def test_an_application_answer_after_the_commit_that_decided_harms_nothing() -> None:
    async with receiving() as (receiver, destination):
        receiver.plant(Fault("commit", "AA", 0.02), Fault("commit", "AA", 0.02))
        for control_id in ("C1", "C2", "C3"):
            outcome = await sent(destination, message(control_id))
            assert outcome.verdict is Verdict.DELIVERED
            await pause(0.05)
        assert receiver.connections == 1


# Connections.


@in_reactor
async def test_a_connection_that_was_closed_while_idle_costs_the_next_message_nothing() -> None:
    async with receiving() as (receiver, destination):
        for number in range(5):
            assert await sent(destination, message(f"C{number}")) == DELIVERED
            receiver.hang_up()  # at once: the loop has not read the end when the next message comes
        assert len(receiver.applied) == 5
        assert receiver.connections == 5


@in_reactor
async def test_a_connection_without_messages_is_closed() -> None:
    async with receiving(idle_close="50ms") as (receiver, destination):
        assert await sent(destination, message("C1")) == DELIVERED
        assert destination.connections == 1
        await until(
            lambda: receiver.open == 0 and destination.connections == 0, "the idle connection is closed"
        )
        assert await sent(destination, message("C2")) == DELIVERED


@in_reactor
async def test_calls_at_once_have_a_connection_each_and_the_next_ones_use_them_again() -> None:
    async with receiving() as (receiver, destination):
        for turn in range(3):
            calls = [Deferred.fromCoroutine(sent(destination, message(f"C{turn}-{n}"))) for n in range(4)]
            assert [await call for call in calls] == [DELIVERED] * 4
        assert receiver.connections == 4
        assert len(receiver.applied) == 12


@in_reactor
async def test_a_connection_takes_so_many_messages_and_then_another_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mllp_send_line, "MESSAGES_MAX_COUNT", 3)
    async with receiving() as (receiver, destination):
        for number in range(7):
            assert await sent(destination, message(f"C{number}")) == DELIVERED
        assert [each.connection for each in receiver.blocks] == [1, 1, 1, 2, 2, 2, 3]
        await until(lambda: receiver.open == 1, "the others are closed")


@in_reactor
async def test_a_connection_rests_between_its_messages_if_the_receiver_needs_that() -> None:
    async with receiving(pause="60ms") as (receiver, destination):
        loop = asyncio.get_running_loop()
        assert await sent(destination, message("C1")) == DELIVERED
        answered_s = loop.time()
        assert await sent(destination, message("C2")) == DELIVERED
        assert loop.time() - answered_s >= 0.05
        receiver.plant(Fault("close"))
        assert await sent(destination, message("C3")) == DELIVERED
        assert await sent(destination, message("C4")) == DELIVERED


@in_reactor
async def test_a_receiver_with_other_block_bytes_is_spoken_to_with_them() -> None:
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\x03"))
        writer.write(b"\x02" + MSH + b"MSA|AA|C1\r\x03")
        await reader.read()
        writer.close()

    server: Any = await in_loop(asyncio.start_server(serve, "127.0.0.1", 0))
    block = {"start": "02", "end": "03", "carriage_return": False}
    destination = sender(f"tcp:127.0.0.1:{server.sockets[0].getsockname()[1]}", block=block)
    assert await sent(destination, message()) == DELIVERED
    assert heard == [b"\x02" + message() + b"\x03"]
    with pytest.raises(RequestRefused, match="begin or end"):
        destination.prepare(SEND_ORIGINAL, message("C1", "\x03"), ORIGIN)
    await destination.close()
    server.close()
    await in_loop(server.wait_closed())


@pytest.mark.parametrize(("codec", "start"), [("utf-16-be", "000b"), ("utf-16-le", "0b00")])
@in_reactor
async def test_a_receiver_of_utf_16_frames_gets_them_and_answers_in_them(codec: str, start: str) -> None:
    end = start.replace("0b", "1c")
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(bytes.fromhex(end) + "\r".encode(codec)))
        writer.write(f"\x0b{MSH.decode()}MSA|AA|C1\r\x1c\r".encode(codec))
        await reader.read()
        writer.close()

    server: Any = await in_loop(asyncio.start_server(serve, "127.0.0.1", 0))
    block = {"start": start, "end": end}
    destination = sender(f"tcp:127.0.0.1:{server.sockets[0].getsockname()[1]}", block=block)
    body = message("C1", "\u00dc").decode("latin-1").replace("\u00dc", "\u1c00\u0b1c\u1c1c")
    assert await sent(destination, body.encode(codec)) == DELIVERED
    assert heard == [f"\x0b{body}\x1c\r".encode(codec)]
    with pytest.raises(RequestRefused, match="begin or end"):
        destination.prepare(SEND_ORIGINAL, f"{body}\x1c".encode(codec), ORIGIN)
    await destination.close()
    server.close()
    await in_loop(server.wait_closed())


@in_reactor
async def test_an_idle_connection_is_kept_by_heartbeats() -> None:
    async with receiving(heartbeat={"every": "20ms"}) as (receiver, destination):
        assert await sent(destination, message("C1")) == DELIVERED
        await until(lambda: len(receiver.blocks) >= 4, "three heartbeats were taken")
        assert await sent(destination, message("C2")) == DELIVERED
        assert {each.connection for each in receiver.blocks} == {1}
        first = receiver.blocks[1].body.split(b"\r")
        assert first[0].split(b"|")[8] == b"NMD^N02^NMD_N02"
        assert first[0].split(b"|")[9].startswith(b"H")
        assert first[1].startswith(b"NCK|2")


@in_reactor
async def test_a_heartbeat_may_be_the_receivers_own_and_need_no_answer() -> None:
    own = "MSH|^~\\&|US||THEM||{time}||ZHB^Z01|{id}|P|2.3"
    heartbeat = {"every": "20ms", "message": own, "answered": False}
    async with receiving(heartbeat=heartbeat, answer_within="20ms") as (receiver, destination):
        assert await sent(destination, message("C1")) == DELIVERED
        receiver.plant(Fault("never", control_id="H", times=None))
        await until(lambda: len(receiver.blocks) >= 4, "three heartbeats were taken")
        assert {each.connection for each in receiver.blocks} == {1}
        assert b"|ZHB^Z01|H" in receiver.blocks[2].body


@pytest.mark.parametrize("fault", [Fault("never"), Fault("lose"), Fault("stranger"), Fault("garbage")])
@in_reactor
async def test_where_a_heartbeat_finds_nobody_the_next_message_gets_another_connection(fault: Fault) -> None:
    async with receiving(heartbeat={"every": "30ms"}, answer_within="200ms") as (receiver, destination):
        assert await sent(destination, message("C1")) == DELIVERED
        receiver.plant(fault)
        await until(lambda: destination.connections == 0, "it is closed")
        assert await sent(destination, message("C2")) == DELIVERED
        assert receiver.blocks[-1].connection == 2


@in_reactor
async def test_closing_does_not_wait_for_the_answer_of_a_heartbeat() -> None:
    async with receiving(heartbeat={"every": "10ms"}, answer_within="1h") as (receiver, destination):
        assert await sent(destination, message("C1")) == DELIVERED
        receiver.plant(Fault("never", times=None))
        await until(lambda: len(receiver.blocks) == 2, "it has been sent")


@in_reactor
async def test_where_nobody_listens_nothing_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for connect, outcome in (
        (f"tcp:127.0.0.1:{port}", Outcome(Verdict.RETRY, "connect-failed")),
        ("tcp:no-such-host.invalid:6661", Outcome(Verdict.RETRY, "name-not-resolved")),
    ):
        destination = sender(connect, plain=".invalid" in connect)
        assert await sent(destination, message()) == outcome
        await destination.close()


@in_reactor
async def test_closing_ends_calls_under_way_and_takes_no_more() -> None:
    async with receiving() as (receiver, destination):
        receiver.plant(Fault("never"))
        waiting = Deferred.fromCoroutine(sent(destination, message("C1")))
        await until(lambda: len(receiver.blocks) == 1, "the message is there")
        await destination.close()
        assert await waiting == DISCONNECTED
        assert await sent(destination, message("C2")) == Outcome(Verdict.RETRY, "closing")
        assert len(receiver.blocks) == 1


@in_reactor
async def test_closing_ends_a_connecting_that_goes_nowhere() -> None:
    # The accept queue of this socket is full: one that connects hears nothing.
    with ExitStack() as held:
        deaf = held.enter_context(socket.socket())
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for _ in range(4):
            filling = held.enter_context(socket.socket())
            filling.setblocking(False)
            filling.connect_ex(deaf.getsockname())
        connect = f"tcp:127.0.0.1:{deaf.getsockname()[1]}"
        quick = sender(connect, connect_within="50ms")
        assert await sent(quick, message()) == Outcome(Verdict.RETRY, "connect-timeout")
        destination = sender(connect, connect_within="20s")
        waiting = Deferred.fromCoroutine(sent(destination, message()))
        await pause(0.05)
        await destination.close()
        assert await waiting == Outcome(Verdict.RETRY, "closing")


@in_reactor
async def test_a_call_that_is_cancelled_takes_its_connection_with_it() -> None:
    async with receiving() as (receiver, destination):
        receiver.plant(Fault("late", seconds=0.1))
        waiting = Deferred.fromCoroutine(sent(destination, message("C1")))
        await until(lambda: len(receiver.blocks) == 1, "the message is there")
        waiting.cancel()
        with pytest.raises(CancelledError):
            await waiting
        await until(lambda: destination.connections == 0, "the connection is gone")
        assert await sent(destination, message("C2")) == DELIVERED
        assert receiver.connections == 2


@in_reactor
async def test_a_request_that_is_none_is_not_sent() -> None:
    async with receiving() as (receiver, destination):
        for request in (b"", b"\x0b", b"PID|1", message("C1") + b"\x1c\r\x0b" + message("C2")):
            outcome = await destination.send(request, idempotency_key=KEY, traceparent=TRACEPARENT)
            assert outcome == Outcome(Verdict.POISON, "request-unreadable")
        assert receiver.connections == 0


OPTIONS = [
    ({"connect": "10.1.2.3:6661"}, "expected an endpoint"),
    ({"connect": "tcp:10.1.2.3"}, "expected an endpoint"),
    ({"connect": "tcp:10.1.2.3:0"}, "expected an endpoint"),
    ({"connect": "tcp:10.1.2.3:65536"}, "expected an endpoint"),
    ({"connect": "tcp:a b:1"}, "expected an endpoint"),
    ({"connect": "tcp:" + "a" * 64 + ":1"}, "expected an endpoint"),
    ({"connect": "tcp:10.1.2.3:6661"}, "in the clear"),
    ({"connect": "tcp:127.0.0.1.example:6661"}, "in the clear"),
    ({"connect": "tcp:10.1.2.3:6661", "plain": "true", "tls": {}}, "not both"),
    ({"connect": "tcp:127.0.0.1:1", "block": {"start": "0B"}}, "hexadecimal"),
    ({"connect": "tcp:127.0.0.1:1", "block": {"start": "1c"}}, "two different bytes"),
    ({"connect": "tcp:127.0.0.1:1", "heartbeat": {"message": "MSH|^~\\&|A"}}, "MSH-10"),
    ({"connect": "tcp:127.0.0.1:1", "heartbeat": {"message": "PID|{id}"}}, "begins with MSH"),
    ({"connect": "tcp:127.0.0.1:1", "heartbeat": {"message": "MSH|\x0b{id}"}}, "control characters"),
    ({"connect": "tcp:127.0.0.1:1", "heartbeat": {}, "idle_close": "1m"}, "write one"),
    ({"connect": "tcp:127.0.0.1:1", "tls": {"certificate": "c.pem"}}, "go together"),
]


@pytest.mark.parametrize(("options", "words"), OPTIONS, ids=[str(row[0]) for row in OPTIONS])
def test_options_that_cannot_be_meant_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        MllpReceiver.model_validate(options)


@pytest.mark.parametrize(
    ("options", "address"),
    [
        ({"connect": "tcp:10.1.2.3:6661", "plain": "true"}, ("10.1.2.3", 6661)),
        ({"connect": "tcp:engine.example:6661", "tls": {}}, ("engine.example", 6661)),
        ({"connect": "tcp:[::1]:6661"}, ("::1", 6661)),
        ({"connect": "tcp:localhost:1"}, ("localhost", 1)),
    ],
)
def test_an_address_is_read_as_it_is_meant(options: dict[str, Any], address: tuple[str, int]) -> None:
    assert MllpReceiver.model_validate(options).address == address
