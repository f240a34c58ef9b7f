"""Lanes and windows, held against a model: everything goes once, in order, whatever is forgotten between."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.delivery.lane import Entry, Reload
from bridge.delivery.lanes import LANE_MAX_ENTRIES, Lanes
from bridge.delivery.window import Window

KEYS = [(b"a",), (b"b",), (b"c",), (b"a", b"b"), (b"c", b"a"), (b"b", b"c", b"a")]
"""Most touch one key; some, as a merge does, touch several."""
GATES = ["north", "south"]


def never_closed(_entry: Entry) -> None:
    return None


@dataclass
class Model:
    """A journal in memory, with lanes and a window over it as the outlet has them.

    ``stored`` are open deliveries; ``quarantined`` those that wait for a person, ``late`` messages that wait
    for one, to be made into deliveries whose ids come after those of later messages.
    """

    room: int
    lane_max_entries: int = LANE_MAX_ENTRIES
    page_size: int = 3
    now_us: int = 0
    messages: int = 0
    deliveries: int = 0
    stored: dict[int, Entry] = field(default_factory=dict)
    quarantined: dict[int, Entry] = field(default_factory=dict)
    late: dict[int, tuple[bytes, ...]] = field(default_factory=dict)
    done: list[Entry] = field(default_factory=list)
    under_way: list[Entry] = field(default_factory=list)
    reloads: list[Reload] = field(default_factory=list)
    closed: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.lanes = Lanes(lane_max_entries=self.lane_max_entries)
        self.window: Window[Entry] = Window()

    def commit(self, keys: tuple[bytes, ...], message_id: int | None = None) -> Entry:
        if message_id is None:
            self.messages += 1
            message_id = self.messages
        self.deliveries += 1
        operation = GATES[self.deliveries % 2]
        entry = Entry(self.deliveries, message_id, keys, 0, operation=operation)
        self.stored[entry.delivery_id] = entry
        return entry

    def offer(self, entry: Entry) -> None:
        if self.window.offer(entry.delivery_id, entry, room=self.lanes.live < self.room):
            self.lanes.admit(entry, self.now_us)

    def arrive_broken(self, keys: tuple[bytes, ...]) -> None:
        """A message that cannot be translated: it occupies its keys."""
        self.messages += 1
        self.late[self.messages] = keys
        for key in keys:
            self.lanes.bar(key, self.messages)

    def mend(self) -> None:
        """Translate the first such message again."""
        if self.late:
            message_id = min(self.late)
            keys = self.late.pop(message_id)
            self.offer(self.commit(keys, message_id))
            self.relax(keys)

    def true_barriers(self) -> dict[bytes, int]:
        barriers: dict[bytes, int] = {}
        occupied = [(entry.message_id, entry.keys) for entry in self.quarantined.values()]
        for message_id, keys in [*occupied, *self.late.items()]:
            for key in keys:
                barriers[key] = min(message_id, barriers.get(key, message_id))
        return barriers

    def relax(self, keys: tuple[bytes, ...]) -> None:
        self.lanes.lift(keys, self.true_barriers())

    def read_page(self, commits_meanwhile: list[tuple[bytes, ...]]) -> None:
        if self.lanes.live >= self.room or not self.window.begin_page():
            return
        later = [entry for key, entry in sorted(self.stored.items()) if key > self.window.cursor]
        page = later[: self.page_size]
        for keys in commits_meanwhile:
            self.offer(self.commit(keys))
        pairs = [(entry.delivery_id, entry) for entry in page]
        for entry in self.window.end_page(pairs, full=len(page) == self.page_size):
            self.lanes.admit(entry, self.now_us)

    def start(self) -> None:
        entry = self.lanes.next_ready(
            self.now_us, lambda entry: entry.operation if entry.operation in self.closed else None
        )
        if entry is None:
            return
        if entry.delivery_id not in self.stored:  # the journal would not let it start
            self.lanes.finished(entry, self.now_us)
            return
        for other in self.under_way:
            assert not set(other.keys) & set(entry.keys), "one of a lane at a time"
        before = [*self.stored.values(), *self.quarantined.values()]
        for other in before:
            if other.position < entry.position:
                assert not set(other.keys) & set(entry.keys), "something of its lane was overtaken"
        for message_id, keys in self.late.items():
            assert message_id > entry.message_id or not set(keys) & set(entry.keys), "a message was overtaken"
        self.under_way.append(entry)

    def finish(self) -> None:
        if self.under_way:
            entry = self.under_way.pop(0)
            del self.stored[entry.delivery_id]
            self.done.append(entry)
            self.lanes.finished(entry, self.now_us)

    def fail(self) -> None:
        if self.under_way:
            entry = self.under_way.pop(0)
            due_at_us = self.now_us + 5
            gate = GATES[0] if entry.delivery_id % 2 == 0 else ""
            self.stored[entry.delivery_id] = entry._replace(due_at_us=due_at_us)
            self.lanes.put_back(entry, due_at_us, self.now_us, gate=gate)

    def block(self) -> None:
        if self.under_way:
            entry = self.under_way.pop(0)
            self.quarantined[entry.delivery_id] = self.stored.pop(entry.delivery_id)
            self.lanes.block(entry, self.now_us)

    def retry(self) -> None:
        """A person lets the first in quarantine go again, at its old place."""
        if self.quarantined:
            entry = self.quarantined.pop(min(self.quarantined))
            self.stored[entry.delivery_id] = entry._replace(due_at_us=0)
            self.relax(entry.keys)

    def discard(self) -> None:
        if self.quarantined:
            entry = self.quarantined.pop(min(self.quarantined))
            self.done.append(entry)
            self.relax(entry.keys)

    def reload(self) -> None:
        self.reloads += self.lanes.to_read()
        if self.reloads:
            wanted = self.reloads.pop(0)
            in_flight = {entry.delivery_id for entry in self.under_way}
            rest = sorted(
                (
                    entry
                    for entry in self.stored.values()
                    if wanted.lane in entry.keys
                    and entry.position > wanted.after
                    and entry.delivery_id not in in_flight
                ),
                key=lambda entry: entry.position,
            )
            page = rest[: self.page_size]
            full = len(page) == self.page_size
            self.lanes.reloaded(wanted, page, full=full, now_us=self.now_us)

    def run_out(self) -> None:
        """Open every gate, let persons decide, and let everything that can go, go."""
        self.closed.clear()
        for gate in GATES:
            self.lanes.open(gate)
        for _ in range(1000):
            if not self.stored and not self.quarantined and not self.late:
                break
            self.now_us += 1
            self.settle()
            if not self.under_way and not self.reloads:
                self.retry()
                self.mend()
        for _ in range(100):
            self.now_us += 1
            self.settle()

    def settle(self) -> None:
        self.read_page([])
        self.start()
        self.finish()
        self.reload()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("arrive"), st.sampled_from(KEYS)),
        st.tuples(st.just("arrive"), st.sampled_from(KEYS)),
        st.tuples(st.just("broken"), st.sampled_from(KEYS)),
        st.tuples(st.just("page"), st.lists(st.sampled_from(KEYS), max_size=3)),
        st.tuples(st.sampled_from(["close", "open", "one"]), st.sampled_from(GATES)),
        st.tuples(
            st.sampled_from(
                ["start", "start", "finish", "fail", "block", "retry", "discard", "mend", "reload", "tick"]
            ),
            st.none(),
        ),
    ),
    max_size=120,
)


@given(steps=STEPS, room=st.integers(1, 6), lane_max=st.sampled_from([1, 2, 3, 64]))
@settings(max_examples=400, deadline=None)
def test_everything_goes_once_and_each_lane_in_order(
    steps: list[tuple[str, object]], room: int, lane_max: int
) -> None:
    model = Model(room, lane_max)
    for name, argument in steps:
        match name, argument:
            case "arrive", tuple(keys):
                model.offer(model.commit(keys))
            case "broken", tuple(keys):
                model.arrive_broken(keys)
            case "page", list(several):
                model.read_page(several)
            case "close", str(gate):
                model.closed.add(gate)
            case "open", str(gate):
                model.closed.discard(gate)
                model.lanes.open(gate)
            case "one", str(gate):
                model.lanes.wake_one(gate)
            case "tick", _:
                model.now_us += 1
            case _:
                getattr(model, name)()
    model.run_out()
    assert not model.stored, "something was forgotten"
    assert len(model.done) == model.deliveries
    assert len({entry.delivery_id for entry in model.done}) == model.deliveries
    assert model.lanes.live == 0
    assert len(model.lanes) == 0


def entry(number: int, *keys: bytes, due_at_us: int = 0, operation: str = "") -> Entry:
    return Entry(number, number, keys, due_at_us, operation=operation)


def all_that_go(lanes: Lanes) -> list[int]:
    gone = []
    while (head := lanes.next_ready(0, never_closed)) is not None:
        gone.append(head.delivery_id)
        lanes.finished(head, 0)
    return gone


def test_a_stuck_key_leaves_room_for_others() -> None:
    lanes = Lanes()
    for number in range(1, 1001):
        lanes.admit(entry(number, b"stuck"), 0)
    head = lanes.next_ready(0, never_closed)
    assert head is not None
    assert lanes.live == LANE_MAX_ENTRIES
    lanes.put_back(head, 10**9, 0)
    assert lanes.live == 0
    lanes.admit(entry(1001, b"other"), 0)
    assert lanes.next_ready(0, never_closed) == entry(1001, b"other")
    assert lanes.next_ready(0, never_closed) is None


def test_when_a_gate_opens_only_what_waited_for_it_goes_at_once() -> None:
    lanes = Lanes()
    for number, key in ((1, b"a"), (2, b"b"), (3, b"c")):
        lanes.admit(entry(number, key), 0)
    for gate in ("put", "", "put"):
        head = lanes.next_ready(0, never_closed)
        assert head is not None
        lanes.put_back(head, 10**9, 0, gate=gate)
    assert lanes.next_ready(0, never_closed) is None
    assert lanes.open("put") == 2
    assert all_that_go(lanes) == [1, 3]
    assert lanes.next_due_at_us() == 10**9


def test_a_closed_gate_keeps_its_own_and_one_may_try_it() -> None:
    lanes = Lanes()
    for number, key, operation in (
        (1, b"a", "put"),
        (2, b"b", "cancel"),
        (3, b"c", "put"),
        (4, b"a", "cancel"),
    ):
        lanes.admit(entry(number, key, operation=operation), 0)
    closed = {"put"}

    def gate(head: Entry) -> str | None:
        return head.operation if head.operation in closed else None

    second = lanes.next_ready(0, gate)
    assert second == entry(2, b"b", operation="cancel")
    lanes.finished(second, 0)
    assert lanes.next_ready(0, gate) is None
    assert lanes.parked("put") == 2
    assert lanes.live == 0
    assert lanes.wake_one("put")
    closed.clear()
    probe = lanes.next_ready(0, gate)
    assert probe == entry(1, b"a", operation="put"), "the oldest tries it"
    assert lanes.next_ready(0, gate) is None
    assert lanes.open("put") == 1


def test_one_that_always_comes_back_is_not_all_that_a_gate_is_tried_by() -> None:
    lanes = Lanes()
    for number, key in ((1, b"bad"), (2, b"good"), (3, b"fine")):
        lanes.admit(entry(number, key, operation="put"), 0)
    bad = lanes.next_ready(0, never_closed)
    assert bad == entry(1, b"bad", operation="put")
    lanes.put_back(bad, 0, 0, gate="put")

    def closed(head: Entry) -> str:
        return head.operation

    assert lanes.next_ready(0, closed) is None
    assert lanes.parked("put") == 3
    tried = []
    for _ in range(3):
        assert lanes.wake_one("put")
        probe = lanes.next_ready(0, never_closed)
        assert probe is not None
        tried.append(probe.delivery_id)
        lanes.put_back(probe, 0, 0, gate="put")
        assert lanes.next_ready(0, closed) is None
    assert tried == [2, 3, 1], "each of them in its turn"


def test_a_blocked_lane_lets_nothing_past_and_a_barrier_lets_earlier_messages_go() -> None:
    lanes = Lanes()
    for number in (1, 2, 3):
        lanes.admit(entry(number, b"a"), 0)
    lanes.bar(b"a", 3)
    assert all_that_go(lanes) == [1, 2]
    lanes.admit(entry(4, b"a"), 0)
    assert lanes.next_ready(0, never_closed) is None
    assert len(lanes) == 0


def test_a_delivery_that_needs_a_person_blocks_its_own_lane_only() -> None:
    lanes = Lanes()
    for number, key in ((1, b"a"), (2, b"b"), (3, b"a"), (4, b"b")):
        lanes.admit(entry(number, key), 0)
    first = lanes.next_ready(0, never_closed)
    assert first is not None
    lanes.block(first, 0)
    assert all_that_go(lanes) == [2, 4]


def test_a_merge_waits_for_both_patients_and_both_wait_for_it() -> None:
    lanes = Lanes()
    for number, keys in ((1, (b"a",)), (2, (b"b",)), (3, (b"a", b"b")), (4, (b"a",)), (5, (b"b",))):
        lanes.admit(entry(number, *keys), 0)
    first, second = lanes.next_ready(0, never_closed), lanes.next_ready(0, never_closed)
    assert first is not None
    assert second is not None
    assert lanes.next_ready(0, never_closed) is None
    lanes.finished(first, 0)
    assert lanes.next_ready(0, never_closed) is None, "the other patient has something under way"
    lanes.finished(second, 0)
    merge = lanes.next_ready(0, never_closed)
    assert merge is not None
    assert merge.delivery_id == 3
    assert lanes.next_ready(0, never_closed) is None, "both wait for the merge"
    lanes.finished(merge, 0)
    assert all_that_go(lanes) == [4, 5]


def test_a_merge_behind_a_stuck_patient_keeps_the_other_one_in_order() -> None:
    lanes = Lanes()
    for number, keys in ((1, (b"a",)), (2, (b"a", b"b")), (3, (b"b",)), (4, (b"c",))):
        lanes.admit(entry(number, *keys), 0)
    stuck = lanes.next_ready(0, never_closed)
    assert stuck is not None
    lanes.block(stuck, 0)
    assert all_that_go(lanes) == [4], "3 comes after the merge, which waits for 1"
    assert lanes.barriers == {b"a": 1, b"b": 2}
    lanes.lift([b"a"], {})
    reloads = lanes.to_read()
    assert {reload.lane for reload in reloads} == {b"a", b"b"}
    for reload in reloads:
        entries = [each for each in (entry(2, b"a", b"b"), entry(3, b"b")) if reload.lane in each.keys]
        lanes.reloaded(reload, entries, full=False, now_us=0)
    assert all_that_go(lanes) == [2, 3]
