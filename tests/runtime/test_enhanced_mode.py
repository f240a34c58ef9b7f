"""Enhanced mode over real sockets: CA once it is on disk, and what follows, when, and on which connection."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ack_listener import AckListener
from databases import in_thread
from lane_messages import line, message
from nodes import Hospital, entries, hospital, steps_of
from odd_sender import Connection
from reactor_tests import in_reactor, pause, until
from sqlalchemy import select

from bridge.cli.demo import CHANNEL
from bridge.cli.fake_api import Fault
from bridge.destinations.in_loop import in_loop
from bridge.formats.hl7v2_reply import Acknowledged
from bridge.formats.mllp_framing import frame
from bridge.journal.schema import owed_answers
from bridge.journal.search import find_messages, story


def source(options: str) -> Callable[[str], str]:
    return line('interface=127.0.0.1"}', f'interface=127.0.0.1", {options}}}')


WAITS = "acknowledge: delivered, answer: {within: 20s}"


def asking(body: bytes, accept: str, application: str, number: str = "") -> bytes:
    """The message with other MSH-13, MSH-15 and MSH-16."""
    assert b"|P|2.5.1|||AL|NE|" in body
    return body.replace(b"|P|2.5.1|||AL|NE|", f"|P|2.5.1|{number}||{accept}|{application}|".encode())


def one(
    accept: str = "AL", application: str = "AL", *, patient: int = 1, step: int = 1, **more: str
) -> bytes:
    return asking(message(patient, step).body, accept, application, **more)


BROKEN = {"EVN|": b"PV1|1|I|OTHER\rEVN|"}


@dataclass
class Wire:
    """A sender's connection that notes what it is told."""

    connection: Connection
    told: list[str] = field(default_factory=list)

    async def send(self, *bodies: bytes) -> None:
        await in_loop(self.connection.write(b"".join(map(frame, bodies))))

    async def hears(self, count: int) -> list[tuple[str, str]]:
        answers: list[bytes] = await in_loop(self.connection.answers(count))
        read = [Acknowledged.read(each) for each in answers]
        return [(each.code, each.control_id) for each in read]

    async def hears_nothing_more(self) -> None:
        """Ask something that is answered, and see that nothing else has come before."""
        await self.send(b"nonsense")
        assert await self.hears(1) in ([("CR", "")], [("AR", "")])


@asynccontextmanager
async def wire(site: Hospital) -> AsyncIterator[Wire]:
    assert site.node is not None
    connection = await in_loop(Connection.to(site.node.addresses()[CHANNEL]))
    try:
        yield Wire(connection)
    finally:
        assert await in_loop(connection.close()) == []


def owed(node: Any) -> list[tuple[int, str, str, int]]:
    """All that is owed: message, state, code, and whether it is the last word."""
    with node.journal.database.reader.begin() as connection:
        rows = connection.execute(select(owed_answers).order_by(owed_answers.c.message_id))
        return [(row.message_id, row.state, row.code, row.final) for row in rows]


async def flags(site: Hospital) -> list[str]:
    assert site.node is not None
    return [row["flags"] for row in reversed(await site.node.journal.read(find_messages))]


C1 = "C1-1-A08"

DONE = [
    ("AL", "AL", ["CA", "AA"]),
    ("AL", "NE", ["CA"]),
    ("AL", "ER", ["CA"]),
    ("NE", "AL", ["AA"]),
    ("NE", "NE", []),
    ("ER", "SU", ["AA"]),
    ("SU", "ER", ["CA"]),
    ("", "", ["AA"]),
    ("", "AL", ["AA"]),
    ("ZZ", "NE", ["CA"]),
]


@pytest.mark.parametrize("waits", ["", f", {WAITS}"], ids=["journaled", "delivered"])
@pytest.mark.parametrize(("accept", "application", "codes"), DONE)
@in_reactor
async def test_a_message_that_goes_well_is_answered_as_its_header_asks(
    tmp_path: Path, accept: str, application: str, codes: list[str], waits: str
) -> None:
    async with hospital(tmp_path, source("mode: from-message" + waits)) as site, wire(site) as sender:
        await sender.send(one(accept, application))
        assert await sender.hears(len(codes)) == [(code, C1) for code in codes]
        await sender.hears_nothing_more()
        assert entries(await site.settled()) == {"delivered": 1, "refused": 1}
        odd = "unknown-acknowledgement-condition" if accept == "ZZ" else ""
        assert (await flags(site))[0] == odd


FAILS = [
    ("AL", "AL", ["CA", "AE"], "refused"),
    ("AL", "ER", ["CA", "AE"], "refused"),
    ("AL", "SU", ["CA"], "quarantined"),
    ("AL", "NE", ["CA"], "quarantined"),
    ("NE", "ER", ["AE"], "refused"),
    ("", "", ["AE"], "refused"),
]


@pytest.mark.parametrize(("accept", "application", "codes", "entry"), FAILS)
@in_reactor
async def test_what_fails_goes_back_to_a_sender_that_hears_of_it_and_waits_for_a_person_otherwise(
    tmp_path: Path, accept: str, application: str, codes: list[str], entry: str
) -> None:
    async with hospital(tmp_path, source(f"mode: from-message, {WAITS}")) as site, wire(site) as sender:
        body = asking(message(1, 1, changed=BROKEN).body, accept, application)
        await sender.send(body)
        assert await sender.hears(len(codes)) == [(code, C1) for code in codes]
        assert entries(await site.settled()) == {entry: 1}


REFUSED = [
    ("AL", "AL", ["CR"]),
    ("ER", "NE", ["CR"]),
    ("SU", "AL", ["AR"]),
    ("NE", "ER", ["AR"]),
    ("NE", "NE", []),
    ("", "", ["AR"]),
]


@pytest.mark.parametrize(("accept", "application", "codes"), REFUSED)
@in_reactor
async def test_what_is_refused_at_the_door_is_told_once(
    tmp_path: Path, accept: str, application: str, codes: list[str]
) -> None:
    async with hospital(tmp_path, source("mode: from-message")) as site, wire(site) as sender:
        for old, new in (
            (b"|P|2.5.1|", b"|T|2.5.1|"),
            (b"ADT^A08^ADT_A01", b"ORU^R01"),
            (b"|2.5.1|", b"|9.9|"),
        ):
            await sender.send(one(accept, application).replace(old, new))
            assert await sender.hears(len(codes)) == [(code, C1) for code in codes], old
        await sender.hears_nothing_more()


@in_reactor
async def test_enhanced_mode_says_commit_also_to_those_who_do_not_ask(tmp_path: Path) -> None:
    async with hospital(tmp_path, source("mode: enhanced")) as site, wire(site) as sender:
        await sender.send(one("", ""), b"nonsense")
        assert await sender.hears(2) == [("CA", C1), ("CR", "")]


UNSTORED = [
    ("AL", "AL", ["CE"]),
    ("ER", "NE", ["CE"]),
    ("NE", "AL", ["AE"]),
    ("", "", ["AE"]),
    ("NE", "NE", None),
    ("SU", "SU", None),
]


INCOMPRESSIBLE = random.Random(1).randbytes(50_000).hex().encode()


async def full_disk(node: Any) -> None:
    await node.journal.writer.flush()  # its thread has nothing to do with the connection for this moment
    connection = in_thread(node.journal)._ownership.connect()
    now = connection.exec_driver_sql("PRAGMA page_count").scalar()
    connection.exec_driver_sql(f"PRAGMA max_page_count = {now}")
    connection.rollback()


@pytest.mark.parametrize(("accept", "application", "codes"), UNSTORED)
@in_reactor
async def test_what_cannot_be_stored_is_told_or_the_connection_is_closed(
    tmp_path: Path, accept: str, application: str, codes: list[str] | None
) -> None:
    async with hospital(tmp_path, source("mode: from-message")) as site:
        await full_disk(site.node)
        body = one(accept, application) + b"ZZZ|" + INCOMPRESSIBLE
        if codes is None:
            await is_cut(site, body)
            return
        async with wire(site) as sender:
            await sender.send(body)
            assert await sender.hears(len(codes)) == [(code, C1) for code in codes]


async def is_cut(site: Hospital, body: bytes) -> None:
    """Send it, and see that the connection is closed without a word."""
    assert site.node is not None
    connection = await in_loop(Connection.to(site.node.addresses()[CHANNEL]))
    try:
        sender = Wire(connection)
        await sender.send(body)
        with pytest.raises((AssertionError, ConnectionError), match=r"closed|reset"):
            await sender.hears(1)
    finally:
        with suppress(ConnectionError):
            await in_loop(connection.close())


@in_reactor
async def test_never_says_nothing_and_closes_only_where_a_message_is_not_kept(tmp_path: Path) -> None:
    async with hospital(tmp_path, source("acknowledge: never")) as site:
        node = site.node
        assert node is not None
        async with wire(site) as sender:
            await sender.send(one(), one(step=2), b"nonsense")
            while len(await node.journal.read(find_messages)) < 3:
                await pause(0.01)
            assert entries(await site.settled()) == {"delivered": 2, "refused": 1}
        await full_disk(node)
        await is_cut(site, one(step=3) + b"ZZZ|" + INCOMPRESSIBLE)


@in_reactor
async def test_never_says_nothing_to_a_repeat_of_what_was_answered_before(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        assert [each.code for each in await site.send(message(1, 1))] == ["AA"]
        await site.stop()
        channel = site.folder / "site" / "channels" / f"{CHANNEL}.yaml"
        channel.write_text(source("acknowledge: never")(channel.read_text()))
        node = await site.start()
        async with wire(site) as sender:
            await sender.send(message(1, 1).body)
            while len(await node.journal.read(find_messages)) < 2:
                await pause(0.01)
        assert entries(await site.settled()) == {"delivered": 1, "duplicate": 1}


@in_reactor
async def test_commit_comes_at_once_and_the_rest_when_the_apis_have_it_whatever_came_between(
    tmp_path: Path,
) -> None:
    async with hospital(tmp_path, source(f"mode: from-message, {WAITS}")) as site, wire(site) as sender:
        site.patients.plant(Fault("status", status=503, path="100001", times=None))
        await sender.send(one(patient=1), one(patient=2))
        assert await sender.hears(3) == [("CA", C1), ("CA", "C2-1-A08"), ("AA", "C2-1-A08")]
        assert steps_of(site.patients, "100001") == []
        site.patients._faults.clear()
        assert await sender.hears(1) == [("AA", C1)]
        assert steps_of(site.patients, "100001") == [1]
        await site.settled()
        node = site.node
        await until(lambda: [each[1] for each in owed(node)] == ["SAID", "SAID"], "it is noted as said")


@in_reactor
async def test_too_late_is_no_refusal_and_a_repeat_hears_the_rest(tmp_path: Path) -> None:
    late = "mode: enhanced, acknowledge: delivered, answer: {within: 300ms}"
    async with hospital(tmp_path, source(late)) as site, wire(site) as sender:
        site.patients.plant(Fault("status", status=503, times=None))
        await sender.send(one())
        assert await sender.hears(2) == [("CA", C1), ("AE", C1)]
        site.patients._faults.clear()
        assert entries(await site.settled()) == {"delivered": 1}
        await sender.send(one())
        assert await sender.hears(2) == [("CA", C1), ("AA", C1)]
        await sender.send(one())
        assert await sender.hears(2) == [("CA", C1), ("AA", C1)]
        assert entries(await site.settled()) == {"delivered": 1, "duplicate": 2}
        assert owed(site.node)[0][2:] == ("AA", 1)


@in_reactor
async def test_a_repeat_of_one_in_flight_hears_of_it_when_it_is_there(tmp_path: Path) -> None:
    async with hospital(tmp_path, source(f"mode: enhanced, {WAITS}")) as site:
        site.patients.plant(Fault("status", status=503, times=None))
        async with wire(site) as first, wire(site) as second:
            await first.send(one())
            assert await first.hears(1) == [("CA", C1)]
            await second.send(one())
            assert await second.hears(1) == [("CA", C1)]
            site.patients._faults.clear()
            assert await first.hears(1) == await second.hears(1) == [("AA", C1)]
        assert steps_of(site.patients, "100001") == [1]


@in_reactor
async def test_what_fails_after_its_sender_has_gone_waits_for_a_person(tmp_path: Path) -> None:
    async with hospital(tmp_path, source(f"mode: enhanced, {WAITS}")) as site:
        node = site.node
        assert node is not None
        site.patients.plant(Fault("status", status=503, path="100001", times=2))
        site.patients.plant(Fault("status", status=422, path="100001", times=3))
        node.outlets["ehr.patients"].pause("test")
        async with wire(site) as sender:
            await sender.send(one())
            assert await sender.hears(1) == [("CA", C1)]
        await until(lambda: node.doors[CHANNEL].connections == 0, "the sender has gone")
        node.outlets["ehr.patients"].resume("test")
        await until(lambda: node.outlets["ehr.patients"].status()["keys_blocked"] == 1, "it is given up")
        assert entries(await site.settled()) == {"quarantined": 1}


@in_reactor
async def test_a_stop_tells_those_who_wait_and_the_next_start_knows_what_became_of_it(tmp_path: Path) -> None:
    async with hospital(tmp_path, source(f"mode: enhanced, {WAITS}")) as site:
        site.patients.plant(Fault("status", status=503, times=None))
        async with wire(site) as sender:
            await sender.send(one())
            assert await sender.hears(1) == [("CA", C1)]
            await site.stop()
            assert await sender.hears(1) == [("AE", C1)]
        site.patients._faults.clear()
        await site.start()
        async with wire(site) as sender:
            await sender.send(one())
            assert await sender.hears(2) == [("CA", C1), ("AA", C1)]


@in_reactor
async def test_a_connection_with_too_much_to_come_is_not_read_on(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("bridge.transports.mllp_answers.LATER_MAX_COUNT", 3)
    async with hospital(tmp_path, source(f"mode: enhanced, {WAITS}")) as site, wire(site) as sender:
        site.patients.plant(Fault("status", status=503, times=None))
        for step in (1, 2, 3):
            await sender.send(one(step=step))
            assert await sender.hears(1) == [("CA", f"C1-{step}-A08")]
        await sender.send(one(step=4))
        await pause(0.1)
        assert len(await site.node.journal.read(find_messages)) == 3  # type: ignore[union-attr]
        site.patients._faults.clear()
        told = await sender.hears(5)
        assert sorted(told) == sorted(
            [*(("AA", f"C1-{step}-A08") for step in (1, 2, 3, 4)), ("CA", "C1-4-A08")]
        )


@in_reactor
async def test_an_acknowledgement_is_not_acknowledged_unless_it_asks(tmp_path: Path) -> None:
    async with hospital(tmp_path, source("mode: enhanced")) as site, wire(site) as sender:
        ack = "MSH|^~\\&|EHR|NORTH|BRIDGE|HUB|20260304||ACK^A08^ACK|A1|P|2.5.1|||{}\rMSA|CA|X\r"
        await sender.send(ack.format("|").encode(), ack.format("AL|NE").encode())
        assert await sender.hears(1) == [("CR", "A1")]
        assert [row["answer_code"] for row in await site.node.journal.read(find_messages)] == ["CR", ""]  # type: ignore[union-attr]


@in_reactor
async def test_sequence_numbers_are_flagged_and_counted_and_nothing_is_refused(tmp_path: Path) -> None:
    async with hospital(tmp_path, source("mode: enhanced")) as site, wire(site) as sender:
        for step, number in enumerate(("1", "2", "5", "5", "0", "6"), 1):
            await sender.send(one(step=step, application="NE", number=number))
            assert await sender.hears(1) == [("CA", f"C1-{step}-A08")]
        assert await flags(site) == ["", "", "sequence-gap", "sequence-repeat", "", ""]
        assert entries(await site.settled()) == {"delivered": 6}
        text = site.node.metrics.exposition().decode()  # type: ignore[union-attr]
        for reason in ("sequence-gap", "sequence-repeat"):
            assert f'bridge_sequence_total{{channel="{CHANNEL}",reason="{reason}"}} 1.0' in text


PROCESSING = [
    ("P", "AA"),
    ("P^T", "AA"),
    ("P^", "AA"),
    ("T", "AR"),
    ("D", "AR"),
    ("T^T", "AR"),
    ("", "AR"),
    ("p", "AR"),
]


@pytest.mark.parametrize(("processing_id", "code"), PROCESSING)
@in_reactor
async def test_only_production_messages_pass_a_production_channel(
    tmp_path: Path, processing_id: str, code: str
) -> None:
    async with hospital(tmp_path, source("mode: from-message")) as site, wire(site) as sender:
        for conditions, expected in (("|", code), ("AL|NE", {"AA": "CA", "AR": "CR"}[code])):
            body = one().replace(b"|P|2.5.1|||AL|AL|", f"|{processing_id}|2.5.1|||{conditions}|".encode())
            await sender.send(body)
            (answer,) = await in_loop(sender.connection.answers(1))
            assert Acknowledged.read(answer).code == expected
            assert (b"|202^" in answer) is (code == "AR")


# From here on: a listener of the sender's.


@asynccontextmanager
async def with_listener(
    tmp_path: Path, *does: str, waits: str = "", late_s: float = 0.2
) -> AsyncIterator[tuple[Hospital, AckListener, int]]:
    listener = AckListener(does, late_s=late_s)
    port = await in_loop(listener.start())
    options = f'mode: enhanced, application_ack: "tcp:127.0.0.1:{port}"{waits}'
    try:
        async with hospital(tmp_path, source(options)) as site:
            yield site, listener, port
    finally:
        await in_loop(listener.stop())
        await pause(0)


async def all_said(site: Hospital, count: int) -> None:
    await until(
        lambda: [each[1] for each in owed(site.node)] == ["SAID"] * count,
        "all acknowledgements are confirmed",
    )


@in_reactor
async def test_application_acknowledgements_go_to_the_sender_s_listener_in_order(tmp_path: Path) -> None:
    async with with_listener(tmp_path) as (site, listener, _):
        async with wire(site) as sender:
            for step in range(1, 6):
                await sender.send(one(step=step))
                assert await sender.hears(1) == [("CA", f"C1-{step}-A08")]
            await all_said(site, 5)
        assert listener.heard == [("AA", f"C1-{step}-A08") for step in range(1, 6)]
        assert listener.connections == 1
        found = await site.node.journal.read(story, 1)  # type: ignore[union-attr]
        assert found is not None
        assert (found.message["application_code"], found.message["application_state"]) == ("AA", "SAID")
        msh = listener.blocks[0].split(b"\r")[0].split(b"|")
        assert msh[2:6] == [b"BRIDGE", b"HUB", b"EHR", b"NORTH"]
        assert (msh[8], msh[10], msh[11], msh[14], msh[15]) == (b"ACK^A08^ACK", b"P", b"2.5.1", b"AL", b"NE")


@in_reactor
async def test_a_refusal_at_the_listener_is_the_sender_s_message_again(tmp_path: Path) -> None:
    async with with_listener(tmp_path, waits=f", {WAITS}") as (site, listener, _):
        async with wire(site) as sender:
            await sender.send(asking(message(1, 1, changed=BROKEN).body, "AL", "AL"), one(step=2))
            assert await sender.hears(2) == [("CA", C1), ("CA", "C1-2-A08")]
        await all_said(site, 2)
        assert listener.heard == [("AE", C1), ("AA", "C1-2-A08")]
        assert b"ERR|||207^" in listener.blocks[0]
        assert entries(await site.settled()) == {"refused": 1, "delivered": 1}


@in_reactor
async def test_what_is_owed_is_sent_after_a_restart_when_the_listener_is_back(tmp_path: Path) -> None:
    async with with_listener(tmp_path, waits=f", {WAITS}") as (site, listener, port):
        await in_loop(listener.stop())
        site.patients.plant(Fault("status", status=503, path="100002", times=None))
        async with wire(site) as sender:
            await sender.send(one(patient=1), one(patient=2))
            assert [code for code, _ in await sender.hears(2)] == ["CA", "CA"]
        await until(lambda: owed(site.node)[0][1] == "OWED", "the first is owed")
        assert owed(site.node)[1][1] == "WAITING"
        await site.stop()
        site.patients._faults.clear()
        await in_loop(listener.start(port))
        await site.start()
        await all_said(site, 2)
        assert listener.heard == [("AA", C1), ("AA", "C2-1-A08")]


@in_reactor
async def test_a_repeat_is_told_again_at_the_listener(tmp_path: Path) -> None:
    async with with_listener(tmp_path) as (site, listener, _), wire(site) as sender:
        for count in (1, 2, 3):
            await sender.send(one())
            assert await sender.hears(1) == [("CA", C1)]
            await until(lambda count=count: len(listener.blocks) == count, "it is told")  # type: ignore[misc]
            await all_said(site, 1)
        assert len(set(listener.blocks)) == 1, "the same, byte for byte"


@in_reactor
async def test_only_so_many_are_followed_and_the_others_are_told_that_it_is_too_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.runtime.answers.FOLLOWED_MAX", 1)
    async with with_listener(tmp_path, waits=f", {WAITS}") as (site, listener, _):
        site.patients.plant(Fault("status", status=503, times=None))
        async with wire(site) as sender:
            await sender.send(one(step=1), one(step=2), one(step=3))
            assert [code for code, _ in await sender.hears(3)] == ["CA", "CA", "CA"]
        await until(lambda: len(listener.blocks) == 2, "two are told at once")
        assert listener.heard == [("AE", "C1-2-A08"), ("AE", "C1-3-A08")]
        site.patients._faults.clear()
        await until(lambda: len(listener.blocks) == 3, "the one that is followed is told in the end")
        assert listener.heard[-1] == ("AA", C1)
        assert entries(await site.settled()) == {"delivered": 3}, "too early is no refusal"


@in_reactor
async def test_a_huge_header_is_not_kept_while_its_message_goes_on(tmp_path: Path) -> None:
    async with hospital(tmp_path, source(f"mode: enhanced, {WAITS}")) as site, wire(site) as sender:
        site.patients.plant(Fault("status", status=503, times=None))
        await sender.send(one().replace(b"|EHR|", b"|" + b"E" * 5000 + b"|"))
        assert await sender.hears(2) == [("CA", C1), ("AE", C1)]
        site.patients._faults.clear()
        assert entries(await site.settled()) == {"delivered": 1}


BAD = ["AE", "CE", "close", "wrong-first", "twice", "late"]


@pytest.mark.parametrize("does", BAD)
@in_reactor
async def test_a_listener_that_confirms_badly_gets_all_in_order(tmp_path: Path, does: str) -> None:
    async with with_listener(tmp_path, does, does) as (site, listener, _):
        async with wire(site) as sender:
            await sender.send(one(step=1), one(step=2))
            await sender.hears(2)
        await all_said(site, 2)
        assert list(dict.fromkeys(listener.heard)) == [("AA", C1), ("AA", "C1-2-A08")]


@pytest.mark.parametrize("does", ["AR", "CR"])
@in_reactor
async def test_what_the_listener_refuses_is_given_up_and_stops_nothing(tmp_path: Path, does: str) -> None:
    async with with_listener(tmp_path, does) as (site, listener, _):
        async with wire(site) as sender:
            await sender.send(one(step=1), one(step=2))
            await sender.hears(2)
        await until(lambda: [each[1] for each in owed(site.node)] == ["GIVEN_UP", "SAID"], "both are settled")
        assert len(listener.blocks) == 2
        text = site.node.metrics.exposition().decode()  # type: ignore[union-attr]
        assert f'bridge_application_acks_total{{channel="{CHANNEL}",state="GIVEN_UP"}} 1.0' in text
