"""Spans as OTLP over HTTP has them, in JSON (OpenTelemetry protocol 1.x), and how they are sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from typing import Any, Final

import orjson
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionLost, DNSLookupError
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import Agent, FileBodyProducer, HTTPConnectionPool, ResponseFailed
from twisted.web.http_headers import Headers

from bridge import __version__
from bridge.errors import PeerUnavailable
from bridge.journal.spans import Span
from bridge.observe import attributes as of

PATH: Final = "/v1/traces"
SERVICE: Final = "interface-bridge"
CONNECT_MAX_S: Final = 5.0
CALL_MAX_S: Final = 15.0
ANSWER_MAX_BYTES: Final = 64 * 1024
_CONSUMER, _INTERNAL, _CLIENT, _ERROR = 5, 1, 3, 2


def document(spans: Sequence[Span], instance: str) -> bytes:
    """The request that tells these spans. ``instance`` says which journal they are of."""
    resource = {of.SERVICE_NAME: SERVICE, of.SERVICE_VERSION: __version__, of.SERVICE_INSTANCE: instance}
    return orjson.dumps(
        {
            "resourceSpans": [
                {
                    "resource": {"attributes": _attributes(resource)},
                    "scopeSpans": [{"scope": {"name": "bridge"}, "spans": [_span(each) for each in spans]}],
                }
            ]
        }
    )


def _span(span: Span) -> dict[str, Any]:
    names = {
        "receive": (f"receive {span.channel}", _CONSUMER),
        "translate": (f"translate {span.channel}", _INTERNAL),
        "attempt": (f"call {span.api} {span.operation}", _CLIENT),
    }
    name, kind = names[span.kind]
    made: dict[str, Any] = {
        "traceId": span.trace_id.hex(),
        "spanId": span.span_id.hex(),
        "name": name,
        "kind": kind,
        "startTimeUnixNano": str(span.started_at_us * 1000),
        "endTimeUnixNano": str(span.ended_at_us * 1000),
        "attributes": _attributes(
            {
                of.MESSAGE: span.message_id,
                of.CHANNEL: span.channel,
                of.STATE: span.state,
                of.REASON: span.reason,
                of.ROUTE: span.route,
                of.API: span.api,
                of.OPERATION: span.operation,
                of.DELIVERY: span.delivery_id,
                of.ATTEMPT: span.attempt,
                of.VERDICT: span.verdict,
                of.STATUS: span.status,
                of.REPLAY_OF: span.replay_of,
                of.FILE: span.file_id,
                of.ERROR: span.reason if span.failed else "",
                **({of.SYSTEM: "hl7", of.DESTINATION: span.channel} if span.kind == "receive" else {}),
            }
        ),
        "status": {"code": _ERROR} if span.failed else {},
    }
    if span.parent_id is not None:
        made["parentSpanId"] = span.parent_id.hex()
    if span.links:
        made["links"] = [
            {"traceId": trace_id.hex(), "spanId": span_id.hex()} for trace_id, span_id in span.links
        ]
    return made


def _attributes(values: Mapping[str, object]) -> list[dict[str, Any]]:
    """Attributes as OTLP has them; what is not known is left out."""
    return list(_told(values.items()))


def _told(values: Iterable[tuple[str, object]]) -> Iterable[dict[str, Any]]:
    for key, value in values:
        if isinstance(value, int):
            yield {"key": key, "value": {"intValue": str(value)}}
        elif value:
            yield {"key": key, "value": {"stringValue": str(value)}}


class _Ignored(Protocol):
    """What a collector says beside its status: read to its end, as far as it is not too long."""

    def __init__(self, ended: Deferred[None]) -> None:
        self._ended, self._left = ended, ANSWER_MAX_BYTES

    def dataReceived(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0 and self.transport is not None:
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002
        if not self._ended.called:
            self._ended.callback(None)


class Collector:
    """Where spans are sent. One call at a time."""

    def __init__(self, url: str, headers: Mapping[str, str], reactor: Any) -> None:
        """``url`` is the collector's, without `PATH`."""
        self._url = (url.rstrip("/").removesuffix(PATH) + PATH).encode()
        self._headers = headers
        self._reactor = reactor
        pool = HTTPConnectionPool(reactor, persistent=False)
        self._agent = Agent(reactor, connectTimeout=CONNECT_MAX_S, pool=pool)

    async def send(self, content: bytes) -> None:
        """Send a document. Raises PeerUnavailable where it was not taken; then it is to be sent again."""
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"{SERVICE}/{__version__}",
            **self._headers,
        }
        try:
            calling = self._agent.request(
                b"POST",
                self._url,
                Headers({name: [value] for name, value in headers.items()}),
                FileBodyProducer(BytesIO(content)),
            )
            calling.addTimeout(CALL_MAX_S, self._reactor)
            response = await calling
            ended: Deferred[None] = Deferred()
            response.deliverBody(_Ignored(ended))
            await ended.addTimeout(CALL_MAX_S, self._reactor)
        except (ConnectError, ConnectionLost, DNSLookupError, ResponseFailed, TimeoutError, OSError) as error:
            raise PeerUnavailable(f"the collector was not reached: {type(error).__name__}") from None
        if response.code // 100 != 2:
            raise PeerUnavailable(f"the collector answered {response.code}")
