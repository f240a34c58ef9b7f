"""Bodies at rest: compressed, encrypted, opened again with the keys of then, and by nobody else."""

from __future__ import annotations

import base64
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from alembic import command
from command_line import bridge
from databases import journal_url
from journals import NOW_US, arrival, translation
from reactor_tests import in_reactor
from sqlalchemy import BigInteger, LargeBinary, column, select, table, type_coerce
from twisted.internet import reactor

from bridge.errors import ItemRefused, JournalRefused
from bridge.journal import triggers
from bridge.journal.database import SCHEMA, Database, upgrade
from bridge.journal.deliveries import START, Call, Start
from bridge.journal.journal import Journal
from bridge.journal.keys import forget, sealed_rows
from bridge.journal.making import migrate
from bridge.journal.messages import RECEIVE, TRANSLATE
from bridge.journal.metadata import METADATA
from bridge.journal.schema import bodies, messages
from bridge.journal.sealed import Sealed
from bridge.journal.sealing import COMPRESSED_FROM_BYTES, MARK, Key, Keyring, Seals, key_id_of
from bridge.journal.search import story
from bridge.journal.spool import Spool
from bridge.units import SecretRef

CHANCE = random.Random(3)
FIRST, SECOND, THIRD = (Key.made(name, CHANCE.randbytes(32)) for name in ("first", "second", "third"))
PLACE = "bodies.body"
KEYS = SecretRef("file", "journal-keys")
LONG = b"OBX|1|NM|GLU^Glucose||5.4|mmol/L\r" * 200
VALUES = {
    "empty": b"",
    "short": b"MSH|^~\\&|",
    "long": LONG,
    "as long as may be without": bytes(COMPRESSED_FROM_BYTES - 1),
    "no shorter when compressed": CHANCE.randbytes(5000),
    "like one of ours": MARK + b"\x02" + bytes(60),
    "the mark alone": MARK,
    "every byte": bytes(range(256)),
}


def ring(*keys: Key) -> Keyring:
    return Keyring(keys)


@pytest.mark.parametrize("keyring", [None, ring(FIRST)], ids=["without a key", "with a key"])
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_what_is_sealed_opens_again(value: bytes, keyring: Keyring | None) -> None:
    seals = Seals(keyring, CHANCE.randbytes)
    kept = seals.seal(value, PLACE)
    assert seals.open(kept, PLACE) == value
    assert (key_id_of(kept) is None) == (keyring is None)
    if len(value) > 4:
        assert keyring is None or value not in kept


def test_long_bodies_are_kept_shorter_and_short_ones_as_they_are() -> None:
    assert len(Seals().seal(LONG, PLACE)) < len(LONG) / 10
    assert Seals().seal(b"MSH|short", PLACE) == b"MSH|short"


def test_the_same_value_is_never_sealed_to_the_same_bytes() -> None:
    seals = Seals(ring(FIRST), CHANCE.randbytes)
    assert len({seals.seal(b"MSH|", PLACE) for _ in range(100)}) == 100


def test_a_value_that_was_altered_anywhere_does_not_open() -> None:
    seals = Seals(ring(FIRST), CHANCE.randbytes)
    kept = seals.seal(LONG, PLACE)
    for at in range(len(MARK), len(kept)):
        altered = kept[:at] + bytes((kept[at] ^ 1,)) + kept[at + 1 :]
        with pytest.raises(ItemRefused):
            seals.open(altered, PLACE)


@pytest.mark.parametrize("cut", [4, 8, 30, 40])
def test_a_value_that_was_cut_does_not_open(cut: int) -> None:
    seals = Seals(ring(FIRST), CHANCE.randbytes)
    with pytest.raises(ItemRefused):
        seals.open(seals.seal(LONG, PLACE)[:cut], PLACE)


def test_a_value_does_not_open_in_another_column() -> None:
    seals = Seals(ring(FIRST), CHANCE.randbytes)
    with pytest.raises(ItemRefused, match="belongs elsewhere"):
        seals.open(seals.seal(b"MSH|", PLACE), "requests.request")


def test_a_damaged_compressed_value_is_an_error_of_ours() -> None:
    kept = Seals().seal(LONG, PLACE)
    with pytest.raises(ItemRefused, match="damaged"):
        Seals().open(kept[:20], PLACE)


def test_retired_keys_open_what_they_sealed_and_other_keys_do_not() -> None:
    kept = Seals(ring(FIRST), CHANCE.randbytes).seal(b"MSH|", PLACE)
    assert Seals(ring(SECOND, FIRST)).open(kept, PLACE) == b"MSH|"
    with pytest.raises(ItemRefused, match=FIRST.id.hex()):
        Seals(ring(SECOND)).open(kept, PLACE)
    with pytest.raises(ItemRefused, match="no keys are given"):
        Seals().open(kept, PLACE)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no key"),
        ("# nothing\n\n", "holds no key"),
        ("first", "line 1: expected a name and a key"),
        ("a b c", "line 1: expected"),
        (FIRST.line + "\nsecond AAAA", "line 2: the key 'second' is not 32 bytes"),
        ("first !!!!", "not 32 bytes in base64"),
        (f"{FIRST.line}\n{FIRST.line}", "line 2: the key 'first' stands there twice"),
        (f"{FIRST.line}\nfirst {base64.b64encode(bytes(32)).decode()}", "stands there twice"),
        (f"{FIRST.line}\nother {FIRST.line.split()[1]}", "stands there twice"),
        (f"{'n' * 41} {FIRST.line.split()[1]}", "line 1: expected"),
    ],
)
def test_a_mistake_in_the_keys_is_told_by_its_line_and_shows_no_key(text: str, words: str) -> None:
    with pytest.raises(JournalRefused, match=words) as told:
        Keyring.read(text, "secret://file/journal-keys")
    assert FIRST.line.split()[1] not in str(told.value)


def test_keys_are_read_in_order_and_not_shown() -> None:
    read = Keyring.read(f"# current\n{SECOND.line}\n\n{FIRST.line}\n", "x")
    assert read == ring(SECOND, FIRST)
    assert repr(SECOND.secret) not in repr(read)


# A journal


class Secret:
    """The secret with the keys; what it holds may change."""

    def __init__(self, *keys: Key) -> None:
        self.keys = keys

    def __call__(self, reference: SecretRef) -> str:
        assert reference == KEYS
        return "\n".join(key.line for key in self.keys)


def opened(folder: Path, secret: Secret | None) -> Journal:
    return Journal(
        journal_url(folder),
        reactor,
        random_bytes=random.Random(7).randbytes,
        at_us=NOW_US,
        state=folder,
        secret=secret,
        keys=KEYS if secret else None,
    )


@asynccontextmanager
async def journal_with(folder: Path, secret: Secret | None) -> AsyncIterator[Journal]:
    journal = opened(folder, secret)
    try:
        yield journal
    finally:
        await journal.close()


def kept_values(database: Database) -> Iterator[bytes]:
    """All that is in columns of content, as it stands on disk."""
    with database.reader.begin() as connection:
        for table in METADATA.sorted_tables:
            for column in table.columns:
                if isinstance(column.type, Sealed):
                    for (value,) in connection.execute(select(type_coerce(column, LargeBinary))):
                        if value is not None:
                            yield bytes(value)


async def one_more(journal: Journal, control_id: str) -> tuple[int, int]:
    """A message and its delivery."""
    receipt = await journal.submit(RECEIVE, arrival(journal, LONG + control_id.encode(), control_id))
    ids = await journal.submit(TRANSLATE, translation(receipt.message_id))
    return receipt.message_id, ids[0]


@pytest.mark.both_databases
@in_reactor
async def test_bodies_are_unreadable_on_disk_and_read_as_they_came(tmp_path: Path) -> None:
    async with journal_with(tmp_path, Secret(FIRST)) as journal:
        message_id, delivery_id = await one_more(journal, "C1")
        kept = list(kept_values(journal.database))
        assert len(kept) == 3
        assert {key_id_of(value) for value in kept} == {FIRST.id}
        found = await journal.read(story, message_id)
        assert found is not None
        assert found.message["body"] == LONG + b"C1"
        call = await journal.submit(START, Start(delivery_id, NOW_US))
        assert isinstance(call, Call)
        assert call.request == b"request 1"
        again = await journal.submit(RECEIVE, arrival(journal, LONG + b"C1", "C1"))
        assert again.duplicate_of == message_id
        assert again.answer == b"answer to " + LONG + b"C1"


@pytest.mark.both_databases
@in_reactor
async def test_encryption_is_turned_on_and_keys_change_and_no_lane_does(tmp_path: Path) -> None:
    async with journal_with(tmp_path, None) as journal:
        lane = journal.facts.hash(b"adt", b"key", b"4711")
        first, _ = await one_more(journal, "C1")
    secret = Secret(FIRST)
    async with journal_with(tmp_path, secret) as journal:
        assert journal.facts.hash(b"adt", b"key", b"4711") == lane
        second, _ = await one_more(journal, "C2")
        secret.keys = (SECOND, FIRST)
        assert await journal.take_keys()
        assert not await journal.take_keys()
        assert journal.facts.hash(b"adt", b"key", b"4711") == lane
        third, _ = await one_more(journal, "C3")
        for number in (first, second, third):
            found = await journal.read(story, number)
            assert found is not None
            assert found.message["body"].startswith(LONG)
        counts = await journal.read(sealed_rows, lambda _: None)
        assert counts == {None: 3, FIRST.id: 3, SECOND.id: 3}
    for keys in ((), (SECOND,), (FIRST,), (THIRD,)):
        with pytest.raises(JournalRefused, match="BRIDGE_JOURNAL_KEYS"):
            opened(tmp_path, Secret(*keys) if keys else None)
    async with journal_with(tmp_path, Secret(THIRD, SECOND, FIRST)) as journal:
        assert journal.facts.hash(b"adt", b"key", b"4711") == lane


@pytest.mark.both_databases
@in_reactor
async def test_keys_that_cannot_be_used_change_nothing(tmp_path: Path) -> None:
    secret = Secret(FIRST)
    async with journal_with(tmp_path, secret) as journal:
        await one_more(journal, "C1")
        for keys in ((SECOND,), ()):
            secret.keys = keys
            with pytest.raises(JournalRefused):
                await journal.take_keys()
            await one_more(journal, f"C{len(keys) + 2}")
        assert await journal.read(sealed_rows, lambda _: None) == {FIRST.id: 9}


@pytest.mark.both_databases
@in_reactor
async def test_a_key_is_forgotten_only_when_nothing_is_sealed_with_it(tmp_path: Path) -> None:
    async with journal_with(tmp_path, Secret(FIRST)) as journal:
        await one_more(journal, "C1")
    async with journal_with(tmp_path, Secret(SECOND, FIRST)) as journal:
        database = journal.database
    spool = Spool(database.beside)
    with database.writer.begin() as connection:
        assert forget(connection, FIRST.id, spool) == 3
    with pytest.raises(JournalRefused):
        opened(tmp_path, Secret(SECOND))
    with database.writer.begin() as connection:
        for table in METADATA.sorted_tables:
            if any(isinstance(column.type, Sealed) for column in table.columns):
                connection.execute(table.delete())
        assert forget(connection, FIRST.id, spool) == 0
    async with journal_with(tmp_path, Secret(SECOND)):
        pass


@in_reactor
async def test_a_row_whose_answer_was_altered_takes_no_other_with_it(tmp_path: Path) -> None:
    async with journal_with(tmp_path, Secret(FIRST)) as journal:
        await one_more(journal, "C1")
        with journal.database.writer.begin() as connection:
            connection.exec_driver_sql("DROP TRIGGER bodies_as_received")
            connection.exec_driver_sql("UPDATE bodies SET answer = ?", (MARK + b"\x02" + bytes(60),))
        with pytest.raises(ItemRefused):
            await journal.submit(RECEIVE, arrival(journal, LONG + b"C1", "C1"))
        assert await one_more(journal, "C2")


@pytest.mark.both_databases
def test_what_an_older_bridge_wrote_is_read_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = {1: b"MSH|as it was", 2: MARK + b"\x02" + bytes(range(60)), 3: None}
    database = Database(journal_url(tmp_path), create=True, state=tmp_path)
    real = command.upgrade
    with monkeypatch.context() as before:
        before.setattr(command, "upgrade", lambda config, _: real(config, "0006"))
        before.setattr("bridge.journal.database.make", lambda connection, _: migrate(connection))
        before.setattr(triggers, "install", lambda _: None)  # those of now, for tables that it has not
        upgrade(database, random_bytes=CHANCE.randbytes)
    raw = table("bodies", *(column(name, LargeBinary) for name in ("message_id", "body", "answer")))
    raw.c.message_id.type = BigInteger()
    with database.writer.begin() as connection:
        for number, body in old.items():
            row = {"id": number, "seq": number, "channel": "adt", "received_at_us": 1, "body_size_bytes": 1}
            texts = ("peer", "message_type", "control_id", "flags", "reason", "issues", "answer_code")
            connection.execute(
                messages.insert().values(
                    **row, **dict.fromkeys(texts, ""), state="IGNORED", fingerprint=b"", trace_id=b""
                )
            )
            connection.execute(raw.insert().values(message_id=number, body=body, answer=body))
    assert upgrade(database, random_bytes=CHANCE.randbytes) == (SCHEMA, SCHEMA)
    with database.reader.begin() as connection:
        found = {row.message_id: (row.body, row.answer) for row in connection.execute(select(bodies))}
    database.close()
    assert found == {number: (body, body) for number, body in old.items()}


def test_a_second_key_of_one_name_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRIDGE_SECRETS", str(tmp_path))
    monkeypatch.setenv("BRIDGE_JOURNAL_KEYS", "secret://file/journal-keys")
    assert bridge("journal", "keys", "new").status == 0
    before = (tmp_path / "journal-keys").read_text()
    again = bridge("journal", "keys", "new")
    assert again.status == 3
    assert "already: give this one another with --name" in again.err
    assert (tmp_path / "journal-keys").read_text() == before
    assert bridge("journal", "keys", "new", "--name", "second").status == 0
    assert (tmp_path / "journal-keys").read_text().endswith(before)


@pytest.mark.both_databases
@in_reactor
async def test_a_key_is_forgotten_by_command_which_tells_that_backups_made_before_need_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with journal_with(tmp_path, Secret(FIRST)):
        pass
    async with journal_with(tmp_path, Secret(SECOND, FIRST)):
        pass
    secret = tmp_path / "journal-keys"
    secret.write_text(f"{SECOND.line}\n{FIRST.line}\n")
    secret.chmod(0o600)
    monkeypatch.setenv("BRIDGE_SECRETS", str(tmp_path))
    monkeypatch.setenv("BRIDGE_JOURNAL_KEYS", str(KEYS))
    ended = bridge("journal", "keys", "forget", FIRST.name, "--journal", journal_url(tmp_path))
    assert ended.status == 0, ended.said
    assert "the journal needs first no more" in ended.out
    assert "backups that were made before, which cannot be read without it" in ended.out
    async with journal_with(tmp_path, Secret(SECOND)):
        pass
