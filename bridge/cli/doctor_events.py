"""What `bridge doctor` finds about streams of events: whether each is there, and keeps what it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from bridge.config.topology import Api, Topology
from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.events_stream import Looked, LoopStream
from bridge.errors import BridgeError
from bridge.units import SecretRef

if TYPE_CHECKING:
    from bridge.cli.doctor import Finding

LOOK_MAX_S = 30.0
ADVICE = {
    "connect-failed": "nobody listens there: look at `servers:`, and whether the server runs",
    "connect-timeout": "nothing answers there: look at `servers:`, and at what is between",
    "name-not-resolved": "its name is not known here: look at `servers:`",
    "auth-unavailable": "provide the secret that the file names",
    "auth-unusable": "the secret is of another form than the file says",
    "auth-refused": "the server does not know the bridge by what the file names",
    "tls-not-offered": "the server speaks no TLS: have it do so, or see `plain:`",
    "tls-files-unusable": "a file of `tls:` cannot be read or used",
    "target-refused": "the server's name stands for an address that it may not have: see `network:`",
    "not-permitted": "give the bridge's login the right to publish there, and to ask about the stream",
    "topic-missing": "make the topic; the bridge makes none",
    "stream-not-there": "JetStream does not answer: is it on, and has it a leader?",
}
"""By reason, where the stream's own advice has none."""


def findings(topology: Topology, secrets: Callable[[SecretRef], str]) -> Iterator[Finding]:
    """One for each stream: what it says, or why nothing would be sent there and what to do."""
    for api in topology.apis.values():
        if getattr(api.destination.options, "events", None) is not None:
            yield from _look(api, secrets)


def _look(api: Api, secrets: Callable[[SecretRef], str]) -> Iterator[Finding]:
    from bridge.cli.doctor import Finding

    about = f"stream of {api.name}"
    try:
        stream = stream_of(api, secrets)
    except BridgeError as error:
        yield Finding(about, "bad", str(error))
        return
    if not isinstance(stream, LoopStream):
        return
    looked = asyncio.run(_looked(stream))
    if looked.outcome is None:
        yield Finding(about, "good", looked.text)
    else:
        yield Finding(about, "bad", looked.outcome.reason, advice_for(looked.outcome.reason))
    for doubt in looked.doubts:
        yield Finding(about, "warning", doubt)


def advice_for(reason: str) -> str:
    """What to do about a stream that cannot be used, by the reason."""
    from bridge.destinations.events_nats_proof import ADVICE as OF_STREAMS

    return OF_STREAMS.get(reason) or ADVICE.get(reason) or "see the reasons on the page of APIs"


def stream_of(api: Api, secrets: Callable[[SecretRef], str]) -> object:
    """The stream of an API, as its file says. Raises PeerUnavailable where its library is missing."""
    from bridge.governance.base import permits

    component, options = api.destination.component, api.destination.options
    assert component.build is not None, "a destination can be built"
    permitted = permits(each.options for each in api.policies)
    credential = None if api.credential is None else api.credential.options
    made = component.build(options, api.operations, credential, secrets, lambda: 0, permitted)
    return made.stream


async def _looked(stream: LoopStream) -> Looked:
    try:
        async with asyncio.timeout(LOOK_MAX_S):
            return await stream.look()
    except TimeoutError:
        return Looked(Outcome(Verdict.RETRY, "connect-timeout"))
    finally:
        await stream.end()
