"""``bridge drill``: each fault is what it says, and what is wrong in a script is said before it listens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from command_line import bridge_process
from nodes import entries, hospital, steps_of
from reactor_tests import in_reactor
from twisted.internet.threads import deferToThread

from bridge.cli.demo import CHANNEL
from bridge.cli.fault_proxy import FaultProxy
from bridge.cli.faults import FAULTS, ScriptRefused, Step, read_script, read_step
from bridge.cli.send import Sender
from bridge.cli.synthetic import Synthetic, admissions
from bridge.destinations.in_loop import in_loop
from bridge.errors import PeerUnavailable
from bridge.formats.hl7v2_reply import Acknowledged

ANSWER = b"answer to "


class Echo:
    """Answers what it is told; remembers what each connection said, in the order of their first word."""

    def __init__(self) -> None:
        self.heard: list[bytearray] = []
        self.ended = 0

    async def came(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = bytearray()
        while data := await reader.read(1000):
            if not said:
                self.heard.append(said)
            said += data
            writer.write(ANSWER + data)
        self.ended += 1
        writer.close()


@asynccontextmanager
async def proxied(step: Step) -> AsyncIterator[tuple[Echo, FaultProxy, int]]:
    echo = Echo()
    server = await asyncio.start_server(echo.came, "127.0.0.1", 0)
    proxy = FaultProxy(server.sockets[0].getsockname()[:2])
    proxy.step = step
    port = await proxy.start("127.0.0.1", 0)
    try:
        yield echo, proxy, port
    finally:
        await proxy.stop()
        server.close()


async def ask(port: int, text: bytes = b"hello") -> bytes:
    """What comes back until the other side closes, or for half a second; a reset is b"reset"."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(text)
        return await asyncio.wait_for(reader.read(10_000), 0.5)
    except ConnectionResetError:
        return b"reset"
    except TimeoutError:
        return b"silence"
    finally:
        writer.transport.abort()


CASES: dict[str, tuple[Step, bytes]] = {
    "pass": (Step("pass"), ANSWER + b"hello"),
    "latency": (Step("latency", delay_s=0.05), ANSWER + b"hello"),
    "bandwidth": (Step("bandwidth", rate_bytes=100_000), ANSWER + b"hello"),
    "refuse": (Step("refuse"), b"reset"),
    "reset": (Step("reset", after_bytes=3), b"reset"),
    "truncate": (Step("truncate", after_bytes=6), ANSWER[:6]),
    "blackhole": (Step("blackhole"), b"silence"),
    "duplicate": (Step("duplicate"), ANSWER + b"hello"),
    "half_open": (Step("half_open"), ANSWER + b"hello"),
    "slow_close": (Step("slow_close", delay_s=0.2), ANSWER + b"hello"),
}


@pytest.mark.parametrize("name", CASES)
@in_reactor
async def test_who_connects_sees_the_fault(name: str) -> None:
    async def see() -> bytes:
        async with proxied(CASES[name][0]) as (_, _, port):
            return await ask(port)

    seen = await in_loop(see())
    expected = CASES[name][1]
    assert seen == expected or (expected == b"reset" and seen == b"")


def test_every_fault_has_a_case() -> None:
    assert {*CASES, "reorder"} == set(FAULTS)


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - an echo has nothing to wait for
            await asyncio.sleep(0.01)


@in_reactor
async def test_what_is_doubled_is_said_twice_and_what_is_half_open_is_not_closed() -> None:
    async def see() -> None:
        async with proxied(Step("duplicate")) as (echo, _, port):
            await ask(port)
            await _until(lambda: echo.heard == [b"hello", b"hello"])
        async with proxied(Step("half_open")) as (echo, _, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"hello")
            assert await reader.read(100) == ANSWER + b"hello"
            writer.close()
            await asyncio.sleep(0.2)
            assert echo.ended == 0

    await in_loop(see())


@in_reactor
async def test_connections_change_places() -> None:
    async def see() -> list[bytes]:
        async with proxied(Step("reorder", count=3)) as (echo, _, port):

            async def after(wait_s: float, text: bytes) -> bytes:
                await asyncio.sleep(wait_s)
                return await ask(port, text)

            await asyncio.gather(*(after(0.05 * number, b"%d" % number) for number in range(3)))
            return [bytes(each) for each in echo.heard]

    assert await in_loop(see()) == [b"2", b"1", b"0"]


@in_reactor
async def test_a_script_goes_from_step_to_step() -> None:
    async def see() -> list[bytes]:
        async with proxied(Step("pass")) as (_, proxy, port):
            task = asyncio.create_task(proxy.run((Step("refuse", lasts_s=0.3), Step("pass"))))
            await asyncio.sleep(0.05)
            before = await ask(port)
            await task
            return [before, await ask(port)]

    before, after = await in_loop(see())
    assert before in (b"reset", b"")
    assert after == ANSWER + b"hello"


WRONG = {
    '{"fault": "reset"}': "expected a list",
    "[": "no JSON",
    '[{"fault": "resett"}]': "did you mean 'reset'",
    '[{"fault": "latency"}]': "needs 'delay'",
    '[{"fault": "latency", "delay": 5, "dely": 1}]': "knows no 'dely'",
    '[{"fault": "latency", "delay": "5"}]': "expected a duration with its unit",
    '[{"fault": "pass", "share": 2}]': "share <= 1",
    "[3]": "expected an object",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_script_that_cannot_be_run_says_where(tmp_path: Path, text: str) -> None:
    path = tmp_path / "script.json"
    path.write_text(text)
    with pytest.raises(ScriptRefused, match=WRONG[text]):
        read_script(path)


def test_a_step_is_said_in_words() -> None:
    step = read_step({"fault": "bandwidth", "rate": "1KiB/s", "for": "1m", "share": 0.5}, "here")
    assert str(step) == "bandwidth 1024 bytes/s for 60 s, 50% of connections"


@pytest.mark.live
def test_the_command_says_what_there_is_and_what_is_wrong(tmp_path: Path) -> None:
    assert "blackhole" in bridge_process("drill", "--list").said
    wrong = bridge_process("drill", "0", "localhost:1", "--step", "latncy delay=1s")
    assert wrong.status == 2
    assert "did you mean 'latency'" in wrong.said
    ready = tmp_path / "ready"
    ended = bridge_process(
        "drill", "0", "localhost:1", "--step", "pass", "--for", "100ms", "--ready-file", ready
    )
    assert ended.status == 0, ended.said
    assert json.loads(ready.read_text())["port"] > 0


BETWEEN: dict[str, Step] = {
    "answers that end in the middle": Step("truncate", after_bytes=40, share=0.5),
    "resets inside a block": Step("reset", after_bytes=500, share=0.5),
    "slow lines": Step("bandwidth", rate_bytes=40_000),
}


def send_until_acknowledged(port: int, message: Synthetic) -> bool:
    """What a sender does: again, until it hears AA; in a thread of its own."""
    for _ in range(10):
        try:
            with closing(Sender("127.0.0.1", port, wait_s=5)) as sender:
                if Acknowledged.read(sender.send(message.body)).code == "AA":
                    return True
        except PeerUnavailable:
            continue
    return False


@pytest.mark.parametrize("name", BETWEEN)
@in_reactor
async def test_between_a_sender_and_the_bridge_nothing_is_lost_or_doubled(tmp_path: Path, name: str) -> None:
    async with hospital(tmp_path) as site:
        assert site.node is not None
        chances = iter([0.0, 0.9] * 1000)
        proxy = FaultProxy(("127.0.0.1", site.node.addresses()[CHANNEL]), chance=lambda: next(chances))
        proxy.step = BETWEEN[name]
        port = await in_loop(proxy.start("127.0.0.1", 0))
        story = list(admissions(2))
        try:
            for message in story:
                assert await deferToThread(send_until_acknowledged, port, message)
        finally:
            await in_loop(proxy.stop())
        assert proxy.counts[BETWEEN[name].fault] >= len(story) / 2
        found = entries(await site.settled())
        assert found["delivered"] == len(story)
        assert set(found) <= {"delivered", "duplicate", "refused"}
        for patient in {message.patient for message in story}:
            assert steps_of(site.patients, patient) == [1, 2, 3, 4]
