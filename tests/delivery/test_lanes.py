"""Lanes and windows, held against a model: everything goes once, in order, whatever is forgotten between."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.delivery.lanes import LANE_MAX_ENTRIES, Entry, Lanes, Reload
from bridge.delivery.window import Window

KEYS = [b"a", b"b", b"c"]


@dataclass
class Model:
    """A journal in memory, with lanes and a window over it as the outlet has them."""

    room: int
    page_size: int = 3
    now_us: int = 0
    stored: dict[int, Entry] = field(default_factory=dict)
    done: list[Entry] = field(default_factory=list)
    under_way: list[Entry] = field(default_factory=list)
    reloads: list[Reload] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lanes = Lanes()
        self.window: Window[Entry] = Window()

    def commit(self, key: bytes) -> Entry:
        number = len(self.done) + len(self.stored) + 1
        entry = Entry(number, number, key, 0)
        self.stored[number] = entry
        return entry

    def offer(self, entry: Entry) -> None:
        if self.window.offer(entry.delivery_id, entry, room=self.lanes.live < self.room):
            self.lanes.admit(entry, self.now_us)

    def read_page(self, commits_meanwhile: list[bytes]) -> None:
        if self.lanes.live >= self.room or not self.window.begin_page():
            return
        later = [entry for key, entry in sorted(self.stored.items()) if key > self.window.cursor]
        page = later[: self.page_size]
        for key in commits_meanwhile:
            self.offer(self.commit(key))
        pairs = [(entry.delivery_id, entry) for entry in page]
        for entry in self.window.end_page(pairs, full=len(page) == self.page_size):
            self.lanes.admit(entry, self.now_us)

    def start(self) -> None:
        if (entry := self.lanes.next_ready(self.now_us)) is not None:
            assert all(other.lane != entry.lane for other in self.under_way), "one of a lane at a time"
            self.under_way.append(entry)

    def finish(self) -> None:
        if self.under_way:
            entry = self.under_way.pop(0)
            del self.stored[entry.delivery_id]
            self.done.append(entry)
            self._queue(self.lanes.finished(entry, self.now_us))

    def fail(self) -> None:
        if self.under_way:
            entry = self.under_way.pop(0)
            self.lanes.put_back(entry, self.now_us + 5, self.now_us, for_api=entry.delivery_id % 2 == 0)

    def reload(self) -> None:
        if self.reloads:
            wanted = self.reloads.pop(0)
            rest = [
                entry
                for number, entry in sorted(self.stored.items())
                if entry.lane == wanted.lane and number > wanted.after_id
            ]
            page = rest[: self.page_size]
            full = len(page) == self.page_size
            self._queue(self.lanes.reloaded(wanted, page, full=full, now_us=self.now_us))

    def _queue(self, reload: Reload | None) -> None:
        if reload is not None:
            self.reloads.append(reload)

    def run_out(self) -> None:
        """Let everything that can go, go."""
        for _ in range(10_000):
            if not self.stored:
                return
            self.now_us += 1
            self.read_page([])
            self.start()
            self.finish()
            self.reload()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("arrive"), st.sampled_from(KEYS)),
        st.tuples(st.just("page"), st.lists(st.sampled_from(KEYS), max_size=3)),
        st.tuples(st.sampled_from(["start", "finish", "fail", "reload", "tick", "back"]), st.none()),
    ),
    max_size=120,
)


@given(steps=STEPS, room=st.integers(1, 6))
@settings(max_examples=300, deadline=None)
def test_everything_goes_once_and_each_lane_in_order(steps: list[tuple[str, object]], room: int) -> None:
    model = Model(room)
    count = 0
    for name, argument in steps:
        match name, argument:
            case "arrive", bytes(key):
                model.offer(model.commit(key))
                count += 1
            case "page", list(keys):
                before = len(model.stored)
                model.read_page(keys)
                count += len(model.stored) - before
            case "start", _:
                model.start()
            case "finish", _:
                model.finish()
            case "fail", _:
                model.fail()
            case "reload", _:
                model.reload()
            case "back", _:
                model.lanes.api_is_back()
            case _:
                model.now_us += 1
    model.run_out()
    assert not model.stored, "something was forgotten"
    assert len(model.done) == count
    for key in KEYS:
        ids = [entry.delivery_id for entry in model.done if entry.lane == key]
        assert ids == sorted(set(ids))
    assert model.lanes.live == 0
    assert len(model.lanes) == 0


def test_a_stuck_key_leaves_room_for_others() -> None:
    lanes = Lanes()
    for number in range(1, 1001):
        lanes.admit(Entry(number, number, b"stuck", 0), 0)
    head = lanes.next_ready(0)
    assert head is not None
    assert lanes.live == LANE_MAX_ENTRIES
    lanes.put_back(head, 10**9, 0)
    assert lanes.live == 0
    lanes.admit(Entry(1001, 1001, b"other", 0), 0)
    assert lanes.next_ready(0) == Entry(1001, 1001, b"other", 0)
    assert lanes.next_ready(0) is None


def test_when_the_api_is_back_only_what_waited_for_it_goes_at_once() -> None:
    lanes = Lanes()
    for number, key in ((1, b"a"), (2, b"b"), (3, b"c")):
        lanes.admit(Entry(number, number, key, 0), 0)
    for for_api in (True, False, True):
        entry = lanes.next_ready(0)
        assert entry is not None
        lanes.put_back(entry, 10**9, 0, for_api=for_api)
    assert lanes.next_ready(0) is None
    assert lanes.api_is_back() == 2
    gone = [entry.delivery_id for _ in range(3) if (entry := lanes.next_ready(0)) is not None]
    assert gone == [1, 3]
    assert lanes.next_due_at_us() == 10**9


def test_a_blocked_lane_lets_nothing_past_and_a_barrier_lets_earlier_messages_go() -> None:
    lanes = Lanes()
    for number in (1, 2, 3):
        lanes.admit(Entry(number, number, b"a", 0), 0)
    lanes.bar(b"a", 3)
    for number in (1, 2):
        entry = lanes.next_ready(0)
        assert entry is not None
        assert entry.delivery_id == number
        lanes.finished(entry, 0)
    assert lanes.next_ready(0) is None
    lanes.admit(Entry(4, 4, b"a", 0), 0)
    assert lanes.next_ready(0) is None
    assert len(lanes) == 0


def test_a_delivery_that_needs_a_person_blocks_its_own_lane_only() -> None:
    lanes = Lanes()
    for number, key in ((1, b"a"), (2, b"b"), (3, b"a"), (4, b"b")):
        lanes.admit(Entry(number, number, key, 0), 0)
    first = lanes.next_ready(0)
    assert first is not None
    lanes.block(first)
    gone = []
    while (entry := lanes.next_ready(0)) is not None:
        gone.append(entry.delivery_id)
        lanes.finished(entry, 0)
    assert gone == [2, 4]
