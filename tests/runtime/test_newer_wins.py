"""An older state of a record never takes the place of a newer one, where the operation says so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from lane_messages import change_api, line, message
from nodes import Hospital, entries, steps_of
from reactor_tests import in_reactor, until

from bridge.catalog import STANDARD
from bridge.cli.demo import CHANNEL, send_all
from bridge.cli.demo_site import write_site
from bridge.config.load import load
from bridge.destinations.in_loop import in_loop
from bridge.errors import ConfigurationRefused
from bridge.governance.order import in_words, left_out
from bridge.journal.compliance import said
from bridge.journal.search import story


@asynccontextmanager
async def two_feeds(folder: Path, stale: str = "stale: {newer_wins: event_time}") -> AsyncIterator[Hospital]:
    """Two channels of one hospital that tell of the same encounters to one API; the second is `other`."""
    made = Hospital(folder)

    def only_encounters(text: str) -> str:
        head, _, routes = text.partition("routes:\n")
        return head + "routes:\n" + routes[routes.index("  - route: encounter") :]

    try:
        await made.open(only_encounters)
        channels = folder / "site" / "channels"
        text = (channels / f"{CHANNEL}.yaml").read_text()
        (channels / "other.yaml").write_text(text.replace(f"channel: {CHANNEL}", "channel: other"))
        mapping = folder / "site" / "mappings" / "adt-admit.yaml"
        told = "      event_time: {from: EVN-2, on_error: null}\n"
        of_encounter = "      class:                 {from: PV1-2"
        mapping.write_text(line(of_encounter, told + of_encounter)(mapping.read_text()))
        if stale:
            change_api(
                made,
                "ehr.encounters",
                "    send_only: [key, patient",
                f"    {stale}\n    send_only: [key, patient",
            )
        await made.start()
        yield made
    finally:
        await made.close()


async def outcomes(site: Hospital) -> list[tuple[str, str]]:
    """State and reason of each delivery, in the order of the messages."""
    assert site.node is not None
    found: list[tuple[str, str]] = []
    number = 1
    while (told := await site.node.journal.read(story, number)) is not None:
        found += [(row["state"], row["reason"]) for row in told.deliveries]
        number += 1
    return found


OLDER = ("SUPPRESSED", "newer-was-told")


@pytest.mark.both_databases
@in_reactor
async def test_an_older_state_is_not_sent_after_a_newer_one_whichever_channel_it_comes_by(
    tmp_path: Path,
) -> None:
    async with two_feeds(tmp_path) as site:
        await site.send(message(1, 2))
        await site.settled()
        # A restart forgets nothing.
        await site.stop()
        node = await site.start()
        other = node.addresses()["other"]
        await in_loop(send_all(other, [message(1, 1, "A01"), message(2, 1, "A01")]))
        await site.settled()
        await site.send(message(1, 3))
        await site.settled()
        assert steps_of(site.encounters, "100001") == [2, 3]
        assert [state for state, _ in await outcomes(site)].count("DELIVERED") == 3
        assert OLDER in await outcomes(site)
        assert len(site.encounters.attempts) == 3, "no byte of an older state leaves"
        kept = await node.journal.read(said)
        assert [left_out(each.verdicts) for each in kept] == [""] * len(kept)
        assert "stopped by newer_wins: newer-was-told" in {in_words(each.verdicts) for each in kept}


@in_reactor
async def test_an_equal_state_and_one_that_does_not_tell_are_sent(tmp_path: Path) -> None:
    async with two_feeds(tmp_path) as site:
        untold = message(1, 1, "A08", {"EVN|A08|20": b"EVN|A08||20"})
        await site.send(message(1, 2), message(1, 2, "A01"), untold)
        assert entries(await site.settled()) == {"delivered": 3}


@in_reactor
async def test_without_the_word_every_state_is_sent(tmp_path: Path) -> None:
    async with two_feeds(tmp_path, stale="") as site:
        await site.send(message(1, 2), message(1, 1))
        assert entries(await site.settled()) == {"delivered": 2}
        assert steps_of(site.encounters, "100001") == [2, 1]


@in_reactor
async def test_a_state_that_was_refused_is_not_the_newest(tmp_path: Path) -> None:
    async with two_feeds(tmp_path) as site:
        assert site.node is not None
        refusing = site.node.outlets["ehr.encounters"]
        site.encounters.reject = {"NORTH:V-100001-1"}
        await site.send(message(1, 2))
        await until(lambda: bool(refusing.lanes.barriers), "a refusal")
        site.encounters.reject = set()
        await in_loop(send_all(site.node.addresses()["other"], [message(1, 1)]))
        await until(lambda: steps_of(site.encounters, "100001") == [1], "the older one")


@pytest.mark.parametrize(
    ("by", "code"),
    [("ward", "C148"), ("nonsense", "C148"), ("[event_time, start, end]", "C122")],
)
def test_a_field_that_tells_nothing_of_newness_is_refused(tmp_path: Path, by: str, code: str) -> None:
    url = "http://127.0.0.1:9"
    site = write_site(tmp_path / "site", patients_url=url, encounters_url=url)
    api = site / "channels" / "apis" / "ehr.encounters.yaml"
    sends = "    send_only: [key, patient"
    api.write_text(line(sends, f"    stale: {{newer_wins: {by}}}\n{sends}")(api.read_text()))
    with pytest.raises(ConfigurationRefused) as refused:
        load(site, STANDARD)
    assert [each.code for each in refused.value.problems] == [code]
