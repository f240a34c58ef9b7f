"""A proxy for TCP connections that does what a step says to each of them; see `faults`."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from bridge.cli.faults import PASS, Step

PIECE_BYTES = 65_536
CONNECTIONS_MAX = 10_000
REORDER_MAX_S = 5.0
"""So long the first of several connections waits for the others."""


class FaultProxy:
    """Listens, and passes on. ``step`` is what it does to connections made from now on."""

    def __init__(
        self,
        target: tuple[str, int],
        *,
        chance: Callable[[], float] = random.random,
        tell: Callable[[str], None] = lambda line: None,  # noqa: ARG005
    ) -> None:
        self._target, self._chance, self._tell = target, chance, tell
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self._held: list[asyncio.Event] = []
        self.step: Step = PASS
        self.counts: Counter[str] = Counter()
        """Connections by what was done to them."""

    async def start(self, host: str, port: int) -> int:
        """Listen; the port. Raises OSError where that cannot be."""
        self._server = await asyncio.start_server(self._came, host, port, limit=PIECE_BYTES)
        found: int = self._server.sockets[0].getsockname()[1]
        return found

    async def run(self, script: tuple[Step, ...]) -> None:
        """Go through the steps of a script, and stay at the last one."""
        for step in script:
            self.step = step
            self._tell(str(step))
            if step.lasts_s is None:
                return
            await asyncio.sleep(step.lasts_s)
        self.step = PASS
        self._tell("the script is over: pass")

    async def stop(self) -> None:
        """Take no further connection, and cut all that are open."""
        if self._server is not None:
            self._server.close()
        for each in tuple(self._open):
            each.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _came(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        step = self.step if self._chance() < self.step.share else PASS
        if len(self._open) >= CONNECTIONS_MAX:
            step = Step("refuse")
        self._open.add(task)
        self.counts[step.fault] += 1
        try:
            await self._pass_on(step, reader, writer)
        except (OSError, asyncio.CancelledError, asyncio.IncompleteReadError):
            writer.transport.abort()
        finally:
            self._open.discard(task)

    async def _pass_on(self, step: Step, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if step.fault == "refuse" or (step.fault == "reset" and step.after_bytes == 0):
            writer.transport.abort()
            return
        if step.fault == "blackhole":
            while await reader.read(PIECE_BYTES):
                pass
            writer.close()
            return
        if step.fault == "reorder":
            await self._wait_for_turn(step.count)
        there, back = await asyncio.open_connection(*self._target, limit=PIECE_BYTES)
        copies = [back]
        if step.fault == "duplicate":
            copies.append(await self._copy())
        try:
            await asyncio.gather(
                self._pump(step, reader, copies, writer, asks=True),
                self._pump(step, there, [writer], back, asks=False),
            )
        finally:
            for each in (*copies, writer):
                each.transport.abort()

    async def _copy(self) -> asyncio.StreamWriter:
        """Another connection, whose answers nobody hears."""
        there, back = await asyncio.open_connection(*self._target, limit=PIECE_BYTES)

        async def forget() -> None:
            with suppress(OSError):
                while await there.read(PIECE_BYTES):
                    pass

        task = asyncio.create_task(forget())
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        return back

    async def _wait_for_turn(self, count: int) -> None:
        turn = asyncio.Event()
        self._held.append(turn)
        if len(self._held) >= count:
            held, self._held = self._held, []
            for number, each in enumerate(reversed(held)):
                asyncio.get_running_loop().call_later(0.01 * number, each.set)
        try:
            await asyncio.wait_for(turn.wait(), REORDER_MAX_S)
        except TimeoutError:
            if turn in self._held:
                self._held.remove(turn)

    async def _pump(
        self,
        step: Step,
        source: asyncio.StreamReader,
        sinks: list[asyncio.StreamWriter],
        source_end: asyncio.StreamWriter,
        *,
        asks: bool,
    ) -> None:
        """Carry one direction. ``asks`` tells that it is the one from who connected."""
        passed = 0
        while data := await source.read(PIECE_BYTES if step.fault != "bandwidth" else _slice(step)):
            if step.fault == "latency":
                await asyncio.sleep(step.delay_s)
            elif step.fault == "bandwidth":
                await asyncio.sleep(len(data) / step.rate_bytes)
            elif (step.fault == "reset" and asks) or (step.fault == "truncate" and not asks):
                data = data[: step.after_bytes - passed]
            for sink in sinks:
                sink.write(data)
                await sink.drain()
            passed += len(data)
            if step.fault == "reset" and asks and passed >= step.after_bytes:
                raise ConnectionResetError
            if step.fault == "truncate" and not asks and passed >= step.after_bytes:
                sinks[0].close()
                await sinks[0].wait_closed()
                raise ConnectionResetError
        if step.fault == "slow_close":
            await asyncio.sleep(step.delay_s)
        elif step.fault == "half_open":
            await asyncio.Event().wait()
        for sink in sinks:
            if sink.can_write_eof():
                sink.write_eof()
        assert source_end is not None


def _slice(step: Step) -> int:
    """So much at a time that a tenth of a second passes between two pieces."""
    return max(1, min(PIECE_BYTES, step.rate_bytes // 10))
