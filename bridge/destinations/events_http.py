"""Events to an HTTP endpoint: one POST for each, or several that wait at once in one (CloudEvents HTTP
Protocol Binding 1.0.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from twisted.internet.defer import Deferred
from yarl import URL

from bridge.delivery.outcomes import Outcome, Verdict
from bridge.delivery.together import Suspects, counted_once
from bridge.destinations.base import CredentialOptions, Permits, Secrets
from bridge.destinations.events_cloud import BATCH, Event, structured
from bridge.destinations.events_options import EndpointOptions
from bridge.destinations.events_stream import Mode, payload
from bridge.destinations.http_calls import Call, Calls
from bridge.destinations.http_connection import Response
from bridge.destinations.http_responses import classify
from bridge.message import Microseconds
from bridge.tls.client import Exchanges

PREFIX: Final = "ce-"


class HttpStream:
    """One endpoint: a `Stream`. The id of an event that goes alone is the Idempotency-Key too."""

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
        self._together_max = options.batch
        self._waiting: list[tuple[Event, Deferred[Outcome]]] = []
        self._posting: set[Deferred[None]] = set()
        self._suspects = Suspects()

    def __repr__(self) -> str:
        return self._url

    async def publish(self, event: Event) -> Outcome:
        """One event, as `Stream` says; by itself, or with those that came in the same turn of the loop."""
        if self._together_max == 1:
            return await self._post_one(event)
        alone = event.id in self._suspects
        outcome = await (self._post_one(event) if alone else self._with_others(event))
        self._suspects.learn(event.id, outcome)
        return outcome

    async def _with_others(self, event: Event) -> Outcome:
        told: Deferred[Outcome] = Deferred()
        self._waiting.append((event, told))
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._flush)
        return await told

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for first in range(0, len(waiting), self._together_max):
            posting = Deferred.fromCoroutine(self._post(waiting[first : first + self._together_max]))
            self._posting.add(posting)
            posting.addCallback(partial(self._forget, posting))

    def _forget(self, posting: Deferred[None], _: None) -> None:
        self._posting.discard(posting)

    async def _post(self, waiting: Sequence[tuple[Event, Deferred[Outcome]]]) -> None:
        """Post several together. Where the endpoint refuses them so, each goes by itself: one that it would
        refuse alone costs no other anything. Where they failed and may be there, so do those that come
        again."""
        events = [event for event, _ in waiting]
        try:
            together = await self._post_batch(events) if len(events) > 1 else None
            if together is None or together.verdict is Verdict.POISON:
                for event, told in waiting:
                    told.callback(await self._post_one(event))
                return
            counted = counted_once((event.operation, together) for event in events)
            for (_, told), outcome in zip(waiting, counted, strict=True):
                told.callback(outcome)
        except Exception as error:  # noqa: BLE001 - a fault of ours, of which each caller hears
            for _, told in waiting:
                if not told.called:
                    told.errback(error)

    async def _post_one(self, event: Event) -> Outcome:
        said = payload(event, self._mode, PREFIX)
        headers = {name: value for name, value in said.headers.items() if name != "content-type"}
        headers |= {"Idempotency-Key": event.id, "traceparent": event.attributes["traceparent"]}
        call = Call("POST", self._target, said.body, said.headers["content-type"])
        return await self._calls.make(call, headers, self._judge)

    async def _post_batch(self, events: Sequence[Event]) -> Outcome:
        """Each event has its own id and trace inside: no header of the call can say them."""
        body = b"[" + b",".join(map(structured, events)) + b"]"
        call = Call("POST", self._target, body, f"{BATCH}; charset=UTF-8")
        return await self._calls.make(call, {}, self._judge)

    def _judge(self, response: Response) -> Outcome:
        return classify(response.status, response.headers, now_us=self._now_us())

    def look_at_files(self) -> Exchanges:
        """Take up what has changed in files of TLS and in secrets."""
        return self._calls.look_at_files()

    async def close(self) -> None:
        """Let go of all connections."""
        await self._calls.close()
