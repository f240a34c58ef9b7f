"""The connections of one API: timeouts, and what aiohttp must not do by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Self

import aiohttp
from pydantic import Field, model_validator

from bridge import __version__
from bridge.component import Options
from bridge.destinations.http_failures import ConnectionLost
from bridge.tls.client import Tls, client_context
from bridge.units import DurationS

KEEP_ALIVE_S: Final = 4.0
"""Below the five seconds after which common servers close an idle connection, since a call that meets
the closing is AMBIGUOUS."""


class Timeouts(Options):
    """How long a call may take."""

    connect: DurationS = Field(5.0, gt=0, description="Name, TCP connection and TLS handshake together.")
    request: DurationS = Field(
        30.0, gt=0, description="The whole call, from name to the end of the response."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.connect > self.request:
            raise ValueError("connect is a part of request, and cannot be longer")
        return self


@dataclass(slots=True)
class Progress:
    """How far one call came.

    ``connected`` tells that it got a connection of its own, ``sent`` that a byte of it may have left.
    """

    connected: bool = False
    sent: bool = False


def open_session(tls: Tls) -> aiohttp.ClientSession:
    """A session, inside the running loop. Raises OSError where a file of ``tls`` cannot be read or used.

    Each request brings its own timeout, and a `Progress` as ``trace_request_ctx`` that tells how far it
    came.
    """
    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(_note_connected)
    trace.on_request_headers_sent.append(_note_sent)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=client_context(tls), limit=0, keepalive_timeout=KEEP_ALIVE_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": f"interface-bridge/{__version__}"},
        auto_decompress=False,
        trust_env=False,
        trace_configs=[trace],
        middlewares=(_never_repeat,),
    )


async def _note_connected(
    _: aiohttp.ClientSession, context: Any, __: aiohttp.TraceConnectionCreateEndParams
) -> None:
    context.trace_request_ctx.connected = True


async def _note_sent(
    _: aiohttp.ClientSession, context: Any, __: aiohttp.TraceRequestHeadersSentParams
) -> None:
    # aiohttp tells this just before it writes the first byte, so the note can be early and never late.
    context.trace_request_ctx.sent = True


async def _never_repeat(
    request: aiohttp.ClientRequest, call: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    try:
        return await call(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise ConnectionLost from error
