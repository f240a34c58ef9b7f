"""Events to an HTTP endpoint: one POST for each (CloudEvents HTTP Protocol Binding 1.0.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from yarl import URL

from bridge.delivery.outcomes import Outcome
from bridge.destinations.base import CredentialOptions, Permits, Secrets
from bridge.destinations.events_cloud import Event
from bridge.destinations.events_options import EndpointOptions
from bridge.destinations.events_stream import Mode, payload
from bridge.destinations.http_calls import Call, Calls
from bridge.destinations.http_connection import Response
from bridge.destinations.http_responses import classify
from bridge.message import Microseconds

PREFIX: Final = "ce-"


class HttpStream:
    """One endpoint: a `Stream`. The id is the Idempotency-Key too."""

    def __init__(
        self,
        options: EndpointOptions,
        mode: Mode,
        credential: CredentialOptions | None,
        secrets: Secrets,
        now_us: Callable[[], Microseconds],
        permits: Permits | None,
    ) -> None:
        self._url, self._mode, self._now_us = options.url, mode, now_us
        self._target = "" if URL(options.url).raw_path.rstrip("/") else "/"
        self._calls = Calls(options.url, options, credential, secrets, now_us, permits)

    def __repr__(self) -> str:
        return self._url

    async def publish(self, event: Event) -> Outcome:
        """One POST, as `Stream` says."""
        said = payload(event, self._mode, PREFIX)
        headers = {name: value for name, value in said.headers.items() if name != "content-type"}
        headers |= {"Idempotency-Key": event.id, "traceparent": event.attributes["traceparent"]}
        call = Call("POST", self._target, said.body, said.headers["content-type"])
        return await self._calls.make(call, headers, self._judge)

    def _judge(self, response: Response) -> Outcome:
        return classify(response.status, response.headers, now_us=self._now_us())

    def look_at_files(self) -> None:
        """Take up what has changed in files of TLS and in secrets."""
        self._calls.look_at_files()

    async def close(self) -> None:
        """Let go of all connections."""
        await self._calls.close()
