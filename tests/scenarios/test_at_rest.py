"""Whoever has the database alone reads nothing of what messages say, and keys change while senders send."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from nodes import Hospital, steps_of
from reactor_tests import in_reactor, pause
from twisted.internet.defer import Deferred

from bridge.cli.synthetic import Synthetic, admissions
from bridge.errors import ItemRefused
from bridge.journal.beside import how_far
from bridge.journal.database import Facts
from bridge.journal.keys import sealed_rows
from bridge.journal.schema import deliveries
from bridge.journal.sealing import Key
from bridge.journal.search import story
from bridge.units import SecretRef

CANARIES = 500
KEYS = [Key.made(f"key-{number}", bytes([number]) * 32) for number in range(1, 5)]


def planted() -> tuple[list[Synthetic], list[bytes]]:
    """Messages that hold a word each in a field that is mapped and in one that is not."""
    made: list[Synthetic] = []
    words: list[bytes] = []
    for each in admissions(40, steps=7):
        if len(words) >= CANARIES:
            break
        seen, unseen = f"KANARIE{len(words):04}", f"CANARIS{len(words):04}"
        words += [seen.encode(), unseen.encode()]
        body = each.body.replace(b"PV1|", f"NTE|1||{unseen}\rPV1|".encode(), 1)
        fields = body.split(b"PID|", 1)
        name = fields[1].split(b"|")
        name[4] = seen.encode() + b"^" + name[4].partition(b"^")[2]
        made.append(replace(each, body=fields[0] + b"PID|" + b"|".join(name)))
    return made, words


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("journal.db*"))


@pytest.mark.parametrize("encrypted", [True, False], ids=["encrypted", "not encrypted"])
@in_reactor
async def test_the_files_hold_no_word_of_any_message(tmp_path: Path, *, encrypted: bool) -> None:
    site = Hospital(tmp_path)
    keys = [KEYS[0]]
    if encrypted:
        site.keys, site.secrets = SecretRef("env", "KEYS"), lambda _: "\n".join(key.line for key in keys)
    await site.open()
    try:
        node = await site.start()
        messages, words = planted()
        sending = Deferred.fromCoroutine(site.send(*messages))
        looks = 0
        facts = node.journal.facts
        lane = facts.hash(b"ehr-adt", b"key", b"1")
        while not sending.called:
            if encrypted and len(keys) < len(KEYS) and looks % 3 == 2:
                keys.insert(0, KEYS[len(keys)])
                assert await node.journal.take_keys()
            newest = (await node.journal.read(how_far)).messages
            for number in range(max(1, newest - 5), newest):
                # None of these may fail, whichever key was the current one.
                try:
                    assert await node.journal.read(story, number) is not None
                except ItemRefused as refused:
                    raise AssertionError(f"message {number} was not read") from refused
            looks += 1
            await pause(0.01)
        assert len(await sending) == len(messages)
        counts = await site.settled()
        assert counts.balanced
        with node.journal.database.reader.begin() as connection:
            lanes = {row.key_hash for row in connection.execute(deliveries.select())}
            assert Facts(connection).hash(b"ehr-adt", b"key", b"1") == lane
            seals = sealed_rows(connection, lambda _: None)
        patients = {each.patient for each in messages}
        assert len(lanes) == len(patients)
        for patient in patients:
            steps = steps_of(site.patients, patient)
            assert steps == sorted(steps)
        await site.stop()
        held = on_disk(tmp_path)
        found = [word for word in words if word in held]
        if encrypted:
            assert found == []
            assert seals[None] == 0
            assert {key.id for key in keys} <= {KEYS[number].id for number in range(len(KEYS))}
            print(f"{len(words)} words in {len(held)} bytes: none found; {looks} looks, {dict(seals)}")
        else:
            assert len(found) == len(words), "a look that could not find them would show nothing"
    finally:
        await site.close()
