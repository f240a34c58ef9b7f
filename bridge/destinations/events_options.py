"""What a file says of events: which they are, and where they go."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from bridge.component import Options, RecordOperationOptions
from bridge.destinations.events_stream import is_this_machine, server_of
from bridge.destinations.events_types import RULES_MAX_COUNT, TYPE, TypeRule, event_type
from bridge.destinations.http_calls import CallOptions
from bridge.destinations.http_urls import absolute_url
from bridge.tls.client import Tls
from bridge.units import LINE, DurationS, SecretRef, SizeBytes

SERVERS_MAX_COUNT: Final = 16
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,200}")
_URI: Final = re.compile(r"(?:[A-Za-z0-9._~:/?#@!$&'()*+,;=-]|\{channel\}){1,300}")
_PLAIN: Final = (
    "without TLS the events cross the network in the clear: write `tls: {...}`, or `plain: true` where that "
    "network is trusted"
)


def _server(text: str) -> str:
    server_of(text)
    return text


def _monitor(text: str) -> str:
    if text.startswith("http://"):  # whether it may be, the options as a whole say
        absolute_url(text.replace("http://", "https://", 1))
        return text.rstrip("/")
    return absolute_url(text).rstrip("/")


Servers = Annotated[
    tuple[Annotated[str, AfterValidator(_server)], ...],
    Field(min_length=1, max_length=SERVERS_MAX_COUNT),
]


class StreamOptions(Options):
    """What streams have in common."""

    plain: bool = Field(
        False, description="That events may cross the network without TLS, to servers on other machines."
    )
    tls: Tls | None = Field(None, description="TLS; `{}` trusts the authorities of the system.")
    within: DurationS = Field(
        30.0, gt=0, le=600, description="The longest that publishing an event may take, with connecting."
    )
    connect_within: DurationS = Field(
        5.0, ge=1, le=60, description="Name, TCP connection, TLS and login together."
    )

    def check_protected(self, hosts: tuple[str, ...]) -> None:
        """Raises ValueError where events would cross a network in the clear, and nobody has said so."""
        if self.tls is not None and self.plain:
            raise ValueError("`plain: true` says that there is no TLS: write it or `tls`, and not both")
        if self.tls is None and not self.plain and not all(map(is_this_machine, hosts)):
            raise ValueError(_PLAIN)
        if self.connect_within > self.within:
            raise ValueError("connect_within is a part of within, and cannot be longer")


class NatsOptions(StreamOptions):
    """A stream of NATS JetStream."""

    servers: Servers = Field(
        description="The servers, each `HOST:PORT`. One is connected to; when it is gone, the next."
    )
    monitors: tuple[Annotated[str, AfterValidator(_monitor)], ...] = Field(
        min_length=1,
        max_length=SERVERS_MAX_COUNT,
        description="The monitoring endpoint of each server, as in https://nats-1.example:8222. They must "
        "say that every server which holds the stream syncs before it acknowledges; else nothing is sent.",
    )
    prove_every: DurationS = Field(
        30.0, ge=1, le=3600, description="How long what the monitoring endpoints said counts."
    )
    stream: str = Field(
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="The stream, which must be there; no other may take an event.",
    )
    subject: str = Field(
        "bridge.evt",
        pattern=r"^[A-Za-z0-9_-]{1,32}(\.[A-Za-z0-9_-]{1,32}){0,7}$",
        description="What subjects begin with; the partition and the type follow, as in "
        "bridge.evt.17.encounter.discharged.",
    )
    partitions: int = Field(
        64, ge=1, le=4096, description="How many partitions there are; another number moves keys to others."
    )
    user: Annotated[SecretRef | None, LINE] = Field(
        None, description="Who the bridge is there, as a reference."
    )
    password: Annotated[SecretRef | None, LINE] = Field(
        None, description="The password of `user`, as a reference."
    )
    token: Annotated[SecretRef | None, LINE] = Field(
        None, description="A token in their place, as a reference."
    )
    nkey: Annotated[SecretRef | None, LINE] = Field(
        None, description="The seed of an NKEY in their place (SU...), as a reference."
    )
    jwt: Annotated[SecretRef | None, LINE] = Field(
        None, description="With `nkey`: the user's JWT, where the server wants one, as a reference."
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        ways = [self.user is not None, self.token is not None, self.nkey is not None]
        if sum(ways) > 1:
            raise ValueError("expected one of `user` with `password`, `token` and `nkey`")
        if (self.user is None) != (self.password is None):
            raise ValueError("`user` and `password` go together")
        if self.jwt is not None and self.nkey is None:
            raise ValueError("`jwt` needs `nkey`, which proves that it is ours")
        self.check_protected(tuple(server_of(each)[0] for each in self.servers))
        far = [each for each in self.monitors if each.startswith("http://") and not _is_here(each)]
        if far and not self.plain:
            raise ValueError(f"{far[0]}: write https://, or `plain: true` where that network is trusted")
        return self


def _is_here(url: str) -> bool:
    try:
        absolute_url(url)
    except ValueError:
        return False
    return True


class KafkaOptions(StreamOptions):
    """A topic of Kafka."""

    servers: Servers = Field(description="The brokers that are asked first, each `HOST:PORT`.")
    topic: str = Field(description="The topic, which must be there; the partition key decides the partition.")
    user: Annotated[SecretRef | None, LINE] = Field(
        None, description="Who the bridge is there (SASL), as a reference."
    )
    password: Annotated[SecretRef | None, LINE] = Field(
        None, description="The password of `user`, as a reference."
    )
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="How user and password are shown; PLAIN sends them as they are."
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if not _TOPIC.fullmatch(self.topic) or self.topic in {".", ".."}:
            raise ValueError("topic: expected letters, digits, '.', '_' and '-', as in bridge.events")
        if (self.user is None) != (self.password is None):
            raise ValueError("`user` and `password` go together")
        if self.mechanism == "PLAIN" and self.user is not None and self.tls is None:
            raise ValueError("`mechanism: PLAIN` sends the password as it is: write `tls: {...}` too")
        self.check_protected(tuple(server_of(each)[0] for each in self.servers))
        return self


def _url(text: str) -> str:
    return absolute_url(text).rstrip("/")


class EndpointOptions(CallOptions):
    """An HTTP endpoint that takes events by POST."""

    url: Annotated[str, AfterValidator(_url)] = Field(description="Where each event is posted.")
    batch: int = Field(
        1,
        ge=1,
        le=100,
        description="How many events go in one POST at most, of those whose turn comes at once, for "
        "endpoints that take batches and know each event by its id; `limits.in_flight` is how many can. "
        "1: each goes by itself.",
    )


class EventStream(Options):
    """Where events go, and what they say of themselves."""

    http: EndpointOptions | None = Field(None, description="To an HTTP endpoint.")
    nats: NatsOptions | None = Field(None, description="Into a stream of NATS JetStream.")
    kafka: KafkaOptions | None = Field(None, description="Into a topic of Kafka.")
    mode: Literal["structured", "binary"] = Field(
        "structured",
        description="structured (the event with its data as one JSON object), or binary (its attributes as "
        "headers, and the data as it is).",
    )
    source: str = Field(
        "urn:interface-bridge:{channel}",
        description="The CloudEvents source; {channel} is the channel's name.",
    )
    type_prefix: str = Field(
        "", description="What all types begin with, as in `org.example.`; left out, nothing."
    )
    types: tuple[TypeRule, ...] = Field(
        (),
        max_length=RULES_MAX_COUNT,
        description="Types of the site's own; they come before the standard's.",
    )
    max_size: SizeBytes = Field(
        1_000_000, gt=0, le=64 * 1024**2, description="A larger event is refused before it is sent."
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum(each is not None for each in (self.http, self.nats, self.kafka)) != 1:
            raise ValueError("expected one of `http`, `nats` and `kafka`: where the events go")
        if self.http is not None and self.http.batch > 1 and self.mode == "binary":
            raise ValueError("`batch` is for `mode: structured`: headers are of one event alone")
        if not _URI.fullmatch(self.source):
            raise ValueError(
                "source: expected a URI, as in urn:example:north or https://hub.example/{channel}"
            )
        if self.type_prefix and not TYPE.fullmatch(self.type_prefix + "x"):
            raise ValueError("type_prefix: expected words that end with a dot, as in org.example.")
        return self


class EventsOptions(Options):
    """A stream of events."""

    events: EventStream = Field(description="Where the events go, and what they say of themselves.")


class EventOperation(RecordOperationOptions):
    """One kind of publication: a record as the data of an event. Nothing but ``send_only`` leaves."""

    send_only: tuple[str, ...] = Field(
        min_length=1, description="The record's fields that the event may hold."
    )
    type: Annotated[str, AfterValidator(event_type)] | None = Field(
        None, description="The type of all these events, whatever the record says; left out, `types` decide."
    )
