"""A trace of each message, whole in a collector that was away, although the bridge was killed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from databases import journal_url
from lane_messages import message
from nodes import Hospital
from reactor_tests import in_reactor, pause, until
from twisted.internet.threads import deferToThread

from bridge.cli.demo import CHANNEL
from bridge.cli.fake_api import Fault
from bridge.cli.processes import BridgeProcess
from bridge.cli.send import Sender
from bridge.cli.synthetic import FAMILIES
from bridge.journal.database import Database
from bridge.journal.ledger import ledger
from bridge.journal.schema import attempts
from bridge.observe import attributes as of

pytestmark = [pytest.mark.live, pytest.mark.both_databases]

KNOWN = {value for name, value in vars(of).items() if name.isupper()}


class Collected(BaseHTTPRequestHandler):
    spans: dict[str, dict[str, Any]]
    raw: list[bytes]
    away: bool

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == "/v1/traces"
        self.send_response(503 if self.away else 200)
        self.end_headers()
        if self.away:
            return
        self.raw.append(body)
        for resource in json.loads(body)["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                for span in scope["spans"]:
                    self.spans[span["spanId"]] = span

    def log_message(self, *_: object) -> None:
        """Nothing is said."""


@contextmanager
def collector() -> Iterator[tuple[str, type[Collected]]]:
    kind = type("Here", (Collected,), {"spans": {}, "raw": [], "away": True})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", kind
    finally:
        server.shutdown()
        server.server_close()


def send(port: int, *numbers: int) -> None:
    sender = Sender("127.0.0.1", port, wait_s=10)
    for number in numbers:
        sender.send(message(number, 1).body)
    sender.close()


def attributes(span: dict[str, Any]) -> dict[str, Any]:
    return {each["key"]: next(iter(each["value"].values())) for each in span["attributes"]}


@in_reactor
async def test_a_trace_is_whole_although_the_bridge_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Hospital(tmp_path)
    await site.open()
    with collector() as (url, collected):
        monkeypatch.setenv("BRIDGE_TRACES", url)
        node = None
        try:
            start = (tmp_path / "site", journal_url(tmp_path), tmp_path / "bridge.log")
            for api in (site.patients, site.encounters):
                api.plant(Fault("status", times=None))
            node = await deferToThread(BridgeProcess, *start)
            await deferToThread(send, node.ports[CHANNEL], 1, 2, 3)
            await until(lambda: len(site.patients.attempts) > 2, "calls that failed")
            node.kill()
            for api in (site.patients, site.encounters):
                api._faults.clear()
            collected.away = False
            node = await deferToThread(BridgeProcess, *start)
            await deferToThread(send, node.ports[CHANNEL], 4)
            database = Database(journal_url(tmp_path), state=tmp_path)
            expected = 0
            for _ in range(600):
                with database.reader.begin() as connection:
                    counts = ledger(connection).channels[CHANNEL]
                    expected = len(connection.execute(attempts.select()).all())
                if counts["delivered"] == 4 and len(collected.spans) == 4 * 2 + expected:
                    break
                await pause(0.05)
            database.close()
            assert counts["delivered"] == 4
            spans = list(collected.spans.values())
            assert len(spans) == 4 * 2 + expected
            roots = {span["traceId"]: span for span in spans if "parentSpanId" not in span}
            assert len(roots) == 4
            assert all(span["name"] == f"receive {CHANNEL}" for span in roots.values())
            for span in spans:
                if "parentSpanId" in span:
                    assert span["parentSpanId"] == roots[span["traceId"]]["spanId"]
                assert set(attributes(span)) <= KNOWN
                assert int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"])
            calls = [span for span in spans if span["name"].startswith("call ")]
            told = {
                each.headers["traceparent"].split("-")[2]
                for api in (site.patients, site.encounters)
                for each in api.attempts
            }
            # What the APIs were told of an attempt is in the traces, also where the process was killed in it.
            assert told <= {span["spanId"] for span in calls}
            assert {attributes(span)[of.VERDICT] for span in calls} >= {"delivered", "retry"}
            everything = b"".join(collected.raw)
            assert not any(name.encode() in everything for name in FAMILIES)
            assert message(1, 1).control_id.encode() not in everything
        finally:
            if node is not None:
                await deferToThread(node.stop)
            await site.close()
