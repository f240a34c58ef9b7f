"""What a Prometheus server may ask. Labels are names from files and words of ours, never from messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from bridge.journal.ledger import Ledger

_LATENCY_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)
_COMMIT_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)


class Tally(Collector):
    """A counter that is counted with each message: plain numbers, read when somebody asks for them."""

    def __init__(self, name: str, words: str, labels: Sequence[str], registry: CollectorRegistry) -> None:
        self._name, self._words, self._labelnames = name, words, tuple(labels)
        self._counts: dict[tuple[str, ...], int] = {}
        registry.register(self)

    def begin(self, *labels: str) -> None:
        """Show 0 with these labels until something is counted, so that the first one is an increase."""
        self._counts.setdefault(labels, 0)

    def count(self, *labels: str) -> None:
        """One more with these labels."""
        self._counts[labels] = self._counts.get(labels, 0) + 1

    def collect(self) -> Iterator[Metric]:
        """The series as they are now."""
        family = CounterMetricFamily(self._name, self._words, labels=self._labelnames)
        for labels, number in tuple(self._counts.items()):
            family.add_metric(labels, number)
        yield family


class Metrics:
    """All series of one node, in a registry of their own. Counts begin at zero with the process."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.messages = Tally(
            "bridge_messages",
            "Messages journaled, by the state they began in.",
            ["channel", "state"],
            registry=registry,
        )
        self.answers = Tally(
            "bridge_answers",
            "Acknowledgements, by code (HL7 table 0008).",
            ["channel", "code"],
            registry=registry,
        )
        self.answers_unreached = Counter(
            "bridge_answers_unreached", "Answers whose connection was gone.", ["channel"], registry=registry
        )
        self.application_acks = Counter(
            "bridge_application_acks",
            "Application acknowledgements to listeners of senders, by what came of them.",
            ["channel", "state"],
            registry=registry,
        )
        self.application_acks_owed = Gauge(
            "bridge_application_acks_owed",
            "Application acknowledgements that wait for the sender's listener.",
            ["channel"],
            registry=registry,
        )
        self.engine_owed = Gauge(
            "bridge_engine_owed",
            "Messages that wait for the old engine of a channel.",
            ["channel"],
            registry=registry,
        )
        self.engine_away = Gauge(
            "bridge_engine_away",
            "1 while the old engine of a channel is not reached.",
            ["channel"],
            registry=registry,
        )
        self.sequence = Counter(
            "bridge_sequence",
            "Messages whose sequence number (MSH-13) leaves a gap or comes again.",
            ["channel", "reason"],
            registry=registry,
        )
        self.tolerated = Counter(
            "bridge_tolerated",
            "Messages of which something was not as it should be and was taken all the same, by what.",
            ["channel", "reason"],
            registry=registry,
        )
        self.unjournaled = Counter(
            "bridge_unjournaled",
            "Blocks answered AE because the journal could not write.",
            ["channel"],
            registry=registry,
        )
        self.translated = Tally(
            "bridge_translated",
            "Messages translated, by the state they came to.",
            ["channel", "state"],
            registry=registry,
        )
        self.made = Tally(
            "bridge_made",
            "Batches of messages that were read and mapped, by whom: a worker, or the node itself.",
            ["channel", "where"],
            registry=registry,
        )
        self.attempts = Tally(
            "bridge_attempts", "Calls made, by verdict.", ["api", "verdict"], registry=registry
        )
        self.delivered = Tally("bridge_delivered", "Deliveries done.", ["channel", "api"], registry=registry)
        self.drift = Counter(
            "bridge_contract_drift",
            "Answers and refusals that were not as the API's contract says, by what was other.",
            ["api", "operation", "kind"],
            registry=registry,
        )
        self.operations_held = Gauge(
            "bridge_operations_held",
            "Operations that wait for a person because their API is other than its contract says.",
            ["api"],
            registry=registry,
        )
        self.sunset = Gauge(
            "bridge_api_sunset_seconds",
            "Seconds until an operation ends, by its file or its API's own word; below zero once it has.",
            ["api", "operation"],
            registry=registry,
        )
        self.quarantined = Tally(
            "bridge_quarantined",
            "Messages and deliveries that need a person, by the channel or API where they stopped.",
            ["where"],
            registry=registry,
        )
        self.quarantine_reasons = Tally(
            "bridge_quarantine_reasons",
            "Messages and deliveries that need a person, by why.",
            ["where", "reason"],
            registry=registry,
        )
        self.latency = Histogram(
            "bridge_sync_latency_seconds",
            "From a message's arrival to its delivery.",
            ["api"],
            buckets=_LATENCY_BUCKETS_S,
            registry=registry,
        )
        self.commit = Histogram(
            "bridge_journal_commit_seconds",
            "One transaction of the journal.",
            buckets=_COMMIT_BUCKETS_S,
            registry=registry,
        )
        self.ledger = Gauge(
            "bridge_ledger",
            "Messages by what became of them; received is their sum. True since the journal began.",
            ["channel", "entry"],
            registry=registry,
        )
        self.ledger_routes = Gauge(
            "bridge_ledger_deliveries",
            "Deliveries by what became of them.",
            ["channel", "route", "entry"],
            registry=registry,
        )
        self.reloads = Counter(
            "bridge_reloads",
            "Files read again while running, by how that ended.",
            ["outcome"],
            registry=registry,
        )
        self.emergency_until = Gauge(
            "bridge_emergency_until_timestamp_seconds",
            "Until when files run by an emergency approval that nobody has reviewed; 0 where none do.",
            registry=registry,
        )
        self.audit_completeness = Gauge(
            "bridge_audit_completeness_ratio",
            "Rows of the audit trail that are there, to those that were written.",
            registry=registry,
        )
        self.audit_completeness.set(float("nan"))  # nobody has looked yet
        self.audit_not_anchored = Gauge(
            "bridge_audit_not_anchored",
            "Anchors that could not be given the newest checkpoint of the chain.",
            registry=registry,
        )
        self.workers = Gauge("bridge_workers", "Worker processes that are at work.", registry=registry)
        self.workers_ended = Counter(
            "bridge_workers_ended", "Worker processes that ended and were replaced.", registry=registry
        )
        self.connections = Gauge("bridge_connections", "Senders connected.", ["channel"], registry=registry)
        self.tls_refused = Counter(
            "bridge_tls_refused",
            "Senders refused before their first message, by reason.",
            ["channel", "reason"],
            registry=registry,
        )
        self.certificate_expires = Gauge(
            "bridge_certificate_expires_timestamp_seconds",
            "When what a listener, a tap or calls of the bridge's own use for TLS ends: certificate, "
            "authorities or revocations.",
            ["channel", "file"],
            registry=registry,
        )
        self.files = Counter(
            "bridge_files", "Files, by each state they came to.", ["channel", "state"], registry=registry
        )
        self.file_bytes = Counter("bridge_file_bytes", "Bytes of files read.", ["channel"], registry=registry)
        self.files_retried = Counter(
            "bridge_files_retried",
            "Files that could not be taken when they came, and were left for another time.",
            ["channel"],
            registry=registry,
        )
        self.files_waiting = Gauge(
            "bridge_files_waiting",
            "Files that are there and not finished, or wait for an earlier one.",
            ["channel"],
            registry=registry,
        )
        self.files_queued = Gauge(
            "bridge_files_queued",
            "Files that are finished and have still to be taken.",
            ["channel"],
            registry=registry,
        )
        self.files_odd = Gauge(
            "bridge_files_odd",
            "Names that are not taken: links, devices and such, files that have a second name, and those "
            "that cannot be read or moved.",
            ["channel"],
            registry=registry,
        )
        self.files_place = Gauge(
            "bridge_files_place",
            "Whether the folder or server of a channel could be looked at: 1 or 0.",
            ["channel"],
            registry=registry,
        )
        self.files_overdue = Gauge(
            "bridge_files_overdue",
            "Whether a file is missed that should have come by now: 1 or 0.",
            ["channel"],
            registry=registry,
        )
        self.in_flight = Gauge("bridge_in_flight", "Calls under way.", ["api"], registry=registry)
        self.withheld = Gauge(
            "bridge_withheld",
            "Deliveries that wait for a patient's consent, each with its key.",
            ["api"],
            registry=registry,
        )
        self.consent_sources = Gauge(
            "bridge_consent_sources_in_trouble",
            "Sources of consents that are away or have a mistake: what is new there does not count.",
            registry=registry,
        )
        self.lanes_waiting = Gauge(
            "bridge_lanes_waiting", "Keys whose next delivery waits for its time.", ["api"], registry=registry
        )
        self.lanes_blocked = Gauge(
            "bridge_lanes_blocked", "Keys that wait for a person.", ["api"], registry=registry
        )
        self._of_the_disk(registry)
        self._of_files_out(registry)

    def _of_the_disk(self, registry: CollectorRegistry) -> None:
        self.disk_free = Gauge(
            "bridge_disk_free_bytes", "Free on the disk of a journal in a file.", registry=registry
        )
        self.disk_reserve = Gauge(
            "bridge_disk_reserve_bytes", "With less free nothing new is taken.", registry=registry
        )
        self.disk_low = Gauge(
            "bridge_disk_low", "1 while nothing new is taken for want of space.", registry=registry
        )

    def _of_files_out(self, registry: CollectorRegistry) -> None:
        self.files_unwritten = Gauge(
            "bridge_files_unwritten",
            "Files of many deliveries that were closed and are not written yet.",
            ["api"],
            registry=registry,
        )
        self.files_unwritten_since = Gauge(
            "bridge_files_unwritten_since_timestamp_seconds",
            "When the oldest of them was closed; 0 for none.",
            ["api"],
            registry=registry,
        )
        self.files_unacknowledged = Gauge(
            "bridge_files_unacknowledged",
            "Files that were sent and should have been acknowledged by now.",
            ["api"],
            registry=registry,
        )

    def show_unwritten(self, api: str, now: Callable[[], tuple[int, int]]) -> None:
        """Show, whenever somebody asks, how many files of an API are not written, and since when, in µs."""
        self.files_unwritten.labels(api).set_function(lambda: now()[0])
        self.files_unwritten_since.labels(api).set_function(lambda: now()[1] / 1e6)

    def tell_ends(self, left_s: Mapping[tuple[str, str], float]) -> None:
        """The seconds until each operation ends, by API and operation; others do not."""
        self.sunset.clear()
        for labels, seconds in left_s.items():
            self.sunset.labels(*labels).set(seconds)

    def count(self, ledger: Ledger) -> None:
        """Show a ledger that was just counted."""
        for channel, received in ledger.received.items():
            self.ledger.labels(channel, "received").set(received)
            for entry, number in ledger.channels[channel].items():
                self.ledger.labels(channel, entry).set(number)
        for (channel, route), entries in ledger.routes.items():
            for entry, number in entries.items():
                self.ledger_routes.labels(channel, route, entry).set(number)

    def quarantine(self, where: str, reason: str) -> None:
        """Count a message of a channel, or a delivery of an API, that needs a person."""
        self.quarantined.count(where)
        self.quarantine_reasons.count(where, reason)

    def tolerate(self, channel: str, codes: str) -> None:
        """Count what was tolerated of one message: codes of ours, with blanks between."""
        for code in codes.split():
            self.tolerated.labels(channel, code).inc()

    def exposition(self) -> bytes:
        """All series in Prometheus' text format."""
        return generate_latest(self.registry)
