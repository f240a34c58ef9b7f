"""A REST API that is not there: for the demonstration, for tests and for drills.

It applies each PUT, POST, PATCH and DELETE once per Idempotency-Key, answers a GET by whether a call to that
path was applied, writes down every call, and breaks on demand. `FakeApi` runs inside the running loop;
``python -m bridge.cli.fake_api --help`` runs it alone, and started again with the same log it knows what it
applied before.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from signal import SIGINT, SIGTERM
from typing import IO, Any, Final, Literal
from urllib.parse import unquote

import click
import orjson
from aiohttp import web

STOP_WAIT_MAX_S: Final = 0.2
PROBLEMS: Final = "https://fake-api.invalid/problems/"


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to break, for calls whose path ends with ``path``, ``times`` times (None: always).

    ``status`` answers with ``status`` and a problem document of the type ``problem``, and changes nothing;
    ``lose`` applies and then closes the connection without an answer; ``cut`` closes it and applies
    nothing; ``delay`` waits ``seconds`` and goes on; ``hang`` never answers; ``redirect`` sends to
    ``location``.
    """

    kind: Literal["status", "lose", "cut", "delay", "hang", "redirect"]
    status: int = 503
    problem: str = "planted"
    retry_after: str = ""
    seconds: float = 0.0
    location: str = ""
    path: str = ""
    times: int | None = 1


@dataclass(frozen=True, slots=True)
class Chances:
    """What share of attempts breaks, 0 to 1, drawn from ``seed``, Idempotency-Key and attempt alone.

    So the same calls break in each run, in whatever order they arrive.
    """

    fail_ratio: float = 0.0
    drop_ratio: float = 0.0
    seed: int = 0

    def fault(self, idempotency_key: str, attempt: int) -> Fault | None:
        """The fault of one attempt, numbered from 1 for each key."""
        drawn = hashlib.sha256(f"{self.seed}:{idempotency_key}:{attempt}".encode()).digest()
        chance = int.from_bytes(drawn[:6]) / 2**48
        if chance < self.fail_ratio:
            return Fault("status", status=503)
        return Fault("lose") if chance < self.fail_ratio + self.drop_ratio else None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call as it arrived, numbered from 1. ``answered`` is its status, or None where it got none."""

    number: int
    method: str
    path: str
    idempotency_key: str
    body_sha256: str
    answered: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Applied:
    """One call that changed something, numbered from 1. ``path`` is as sent, percent-encoded."""

    number: int
    method: str
    path: str
    idempotency_key: str
    body_sha256: str
    mark: str


class FakeApi:
    """The API. ``attempts`` holds all calls in the order they came, ``applied`` those that had an effect."""

    def __init__(
        self,
        *,
        chances: Chances | None = None,
        reject: Iterable[str] = (),
        mark: str = "mark",
        log: IO[bytes] | None = None,
        api_key: tuple[str, str] | None = None,
        honours_keys: bool = True,
    ) -> None:
        """``reject`` names record keys (decoded path segments) that are answered with 422; ``mark`` is the
        field of a body to write down with what was applied; ``api_key`` is a header and its value, without
        which a call is answered with 401. One that does not honour keys applies a repeat once more.
        """
        self.attempts: list[Attempt] = []
        self.applied: list[Applied] = []
        self.reject = set(reject)
        self.api_key = api_key
        self.headers: dict[str, str] = {}
        """What every answer says beside its own."""
        self.answer_with: dict[str, Any] = {}
        """What the body of an answer says beside ``applied``."""
        self.otherwise: Callable[[Attempt], web.Response | None] | None = None
        """What it answers in place of its own, where that is not None; what it says succeeded is applied."""
        self._chances = chances or Chances()
        self._faults: list[Fault] = []
        self._honours_keys = honours_keys
        self._mark = mark
        self._log = log
        self._tries: dict[str, int] = {}
        self._applied_as: dict[str, tuple[str, int]] = {}
        self._stopping = asyncio.Event()
        self._runner: web.ServerRunner | None = None

    async def start(
        self, *, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
    ) -> str:
        """Listen, on a free port unless one is given. The URL, without a slash at its end."""
        self._runner = web.ServerRunner(
            web.Server(self._answer, access_log=None), shutdown_timeout=STOP_WAIT_MAX_S
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, ssl_context=tls)
        await site.start()
        bound = self._runner.addresses[0][1]
        return f"{'https' if tls else 'http'}://{host}:{bound}"

    async def stop(self) -> None:
        """Close all connections, also those that hang."""
        self._stopping.set()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def remember(self, lines: Iterable[bytes]) -> None:
        """Know again what was applied before, from the lines of its log; half a line counts not."""
        for line in lines:
            if line.endswith(b"\n"):
                self._keep(Applied(**orjson.loads(line)))

    def _keep(self, applied: Applied) -> None:
        self.applied.append(applied)
        if applied.idempotency_key and self._honours_keys:
            what = f"{applied.method} {applied.path} {applied.body_sha256}"
            self._applied_as[applied.idempotency_key] = (what, applied.number)

    def plant(self, *faults: Fault) -> None:
        """Break the calls to come, in this order where several faults fit one call."""
        self._faults.extend(faults)

    def arrivals(self, path: str) -> list[Attempt]:
        """The attempts on one path, in the order they came."""
        return [attempt for attempt in self.attempts if attempt.path == path]

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        attempt = Attempt(
            number=len(self.attempts) + 1,
            method=request.method,
            path=request.raw_path,
            idempotency_key=request.headers.get("Idempotency-Key", ""),
            body_sha256=hashlib.sha256(body).hexdigest(),
            headers=dict(request.headers),
            body=body,
        )
        self.attempts.append(attempt)
        response = await self._respond(attempt)
        if response is None:
            _cut(request)
            return web.Response(status=499)
        response.headers.update(self.headers)
        self.attempts[attempt.number - 1] = replace(attempt, answered=response.status)
        return response

    async def _respond(self, attempt: Attempt) -> web.Response | None:
        if self.api_key is not None and attempt.headers.get(self.api_key[0]) != self.api_key[1]:
            return _problem(401, "unauthorised")
        fault = self._fault(attempt)
        match fault:
            case Fault(kind="status"):
                extra = {"Retry-After": fault.retry_after} if fault.retry_after else {}
                return _problem(fault.status, fault.problem, extra)
            case Fault(kind="redirect"):
                return web.Response(status=307, headers={"Location": fault.location})
            case Fault(kind="cut"):
                return None
            case Fault(kind="delay"):
                await self._wait(fault.seconds)
            case Fault(kind="hang"):
                await self._wait(None)
                return None
        changed = None if self.otherwise is None else self.otherwise(attempt)
        if changed is not None and changed.status >= HTTPStatus.MULTIPLE_CHOICES:
            return changed
        response = self._apply(attempt)
        if changed is not None:
            return changed
        return None if fault is not None and fault.kind == "lose" else response

    async def _wait(self, seconds: float | None) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    def _fault(self, attempt: Attempt) -> Fault | None:
        for position, fault in enumerate(self._faults):
            if attempt.path.endswith(fault.path):
                if fault.times is not None:
                    left = fault.times - 1
                    self._faults[position : position + 1] = [replace(fault, times=left)] if left else []
                return fault
        key = attempt.idempotency_key or str(attempt.number)
        self._tries[key] = self._tries.get(key, 0) + 1
        return self._chances.fault(key, self._tries[key])

    def _apply(self, attempt: Attempt) -> web.Response:
        if attempt.method == "GET":
            there = next((each for each in self.applied if each.path == attempt.path), None)
            return _problem(404, "not-found") if there is None else self._done(there.number)
        if attempt.method not in {"PUT", "POST", "PATCH", "DELETE"}:
            return _problem(405, "method-not-allowed")
        if self.reject & {unquote(segment) for segment in attempt.path.split("/")}:
            return _problem(422, "rejected")
        key = attempt.idempotency_key
        what = f"{attempt.method} {attempt.path} {attempt.body_sha256}"
        if key in self._applied_as:
            before, number = self._applied_as[key]
            return (
                self._done(number, repeated=True) if what == before else _problem(422, "idempotency-conflict")
            )
        applied = Applied(
            number=len(self.applied) + 1,
            method=attempt.method,
            path=attempt.path,
            idempotency_key=key,
            body_sha256=attempt.body_sha256,
            mark=_marked(attempt.body, self._mark),
        )
        self._keep(applied)
        if self._log is not None:
            self._log.write(orjson.dumps(asdict(applied)) + b"\n")
            self._log.flush()
        return self._done(applied.number)

    def _done(self, number: int, *, repeated: bool = False) -> web.Response:
        headers = {"Idempotency-Replayed": "true"} if repeated else {}
        return web.json_response({**self.answer_with, "applied": number}, headers=headers)


def _problem(status: int, kind: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response(
        {"type": PROBLEMS + kind, "status": status},
        status=status,
        headers=headers,
        content_type="application/problem+json",
    )


def _marked(body: bytes, name: str) -> str:
    try:
        value = orjson.loads(body).get(name, "")
    except (orjson.JSONDecodeError, AttributeError):
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _cut(request: web.BaseRequest) -> None:
    if request.transport is not None:
        request.transport.abort()


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=0, show_default=True, help="Port to listen on; 0 takes a free one.")
@click.option("--fail-ratio", default=0.0, type=click.FloatRange(0, 1), help="Share answered with 503.")
@click.option("--drop-ratio", default=0.0, type=click.FloatRange(0, 1), help="Share applied, not answered.")
@click.option("--seed", default=0, show_default=True, help="Which calls break.")
@click.option("--mark", default="mark", show_default=True, help="Field of a body that goes into the log.")
@click.option("--reject", multiple=True, help="A record's key that is answered with 422.")
@click.option("--forgetful", is_flag=True, help="Do not honour Idempotency-Key: apply a repeat once more.")
@click.option(
    "--log",
    "log_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File that gets a JSON line for each applied call, before it is answered.",
)
def main(  # noqa: PLR0913 - each is an option
    *,
    host: str,
    port: int,
    fail_ratio: float,
    drop_ratio: float,
    seed: int,
    mark: str,
    reject: tuple[str, ...],
    forgetful: bool,
    log_path: Path | None,
) -> None:
    """Run the fake API until it is told to stop; its first line of output is its URL."""
    chances = Chances(fail_ratio, drop_ratio, seed)
    before = log_path.read_bytes().splitlines(keepends=True) if log_path and log_path.exists() else []
    with log_path.open("ab") if log_path else nullcontext() as log:
        api = FakeApi(chances=chances, reject=reject, mark=mark, log=log, honours_keys=not forgetful)
        api.remember(before)
        asyncio.run(_serve(api, host, port))


async def _serve(api: FakeApi, host: str, port: int) -> None:
    asked_to_stop = asyncio.Event()
    for signal in (SIGINT, SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signal, asked_to_stop.set)
    click.echo(await api.start(host=host, port=port))
    await asked_to_stop.wait()
    await api.stop()


if __name__ == "__main__":
    main()
