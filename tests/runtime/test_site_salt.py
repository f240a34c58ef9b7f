"""Nodes of a site with journals of their own: which keys a canary is of."""

from __future__ import annotations

from pathlib import Path

from bridge.catalog import STANDARD
from bridge.cli.demo_site import write_site
from bridge.cli.synthetic import admission
from bridge.config.load import load
from bridge.config.topology import Channel
from bridge.delivery.stages import Standing
from bridge.formats.hl7v2 import Hl7Message
from bridge.formats.hl7v2_ack import peek
from bridge.journal.hashes import Hashes
from bridge.journal.messages import Untranslated
from bridge.runtime.making import Made, Maker
from bridge.runtime.staging import Staging

PATIENTS = 200


def site_with(folder: Path, more: str) -> Channel:
    """The channel of a site with these further words below `legacy:`."""
    nobody = "http://127.0.0.1:9"
    site = write_site(folder, patients_url=nobody, encounters_url=nobody)
    (file,) = (site / "channels").glob("*.yaml")
    text = file.read_text()
    file.write_text(text.replace("routes:", f'legacy: {{mllp: "tcp:127.0.0.1:1"{more}}}\nroutes:', 1))
    (channel,) = load(site, STANDARD).channels.values()
    return channel


def chosen(channel: Channel, node: int, share: int) -> set[int]:
    """The patients that a node with a journal and a salt of its own sends for."""
    hashes = Hashes(bytes([node]) * 32)
    standing = Standing("canary", share, (), bytes([node]) * 16)
    staging = Staging(channel, hashes, {route.name: standing for route in channel.routes})
    maker, found = Maker(channel, {}, hashes, lambda: 0), set()
    for patient in range(PATIENTS):
        body, made = admission(patient, 1, "A08", control_id="1").body, Made()
        maker._find_keys(Untranslated(1, body), Hl7Message.read(body), made)
        if staging._sender("patient", made, peek(body)) == "bridge":
            found.add(patient)
    return found


def test_nodes_with_the_sites_salt_choose_the_same_keys_and_more_with_a_larger_share(tmp_path: Path) -> None:
    channel = site_with(tmp_path / "site", ", salt: north-site")
    one, two = chosen(channel, 1, 3000), chosen(channel, 2, 3000)
    assert one == two
    assert 0.15 < len(one) / PATIENTS < 0.45
    assert one < chosen(channel, 1, 6000)


def test_without_it_each_journal_has_a_salt_of_its_own(tmp_path: Path) -> None:
    channel = site_with(tmp_path / "site", "")
    assert chosen(channel, 1, 3000) != chosen(channel, 2, 3000)


def test_another_word_chooses_others(tmp_path: Path) -> None:
    one, two = (site_with(tmp_path / word, f", salt: {word}") for word in ("north-site", "south-site"))
    assert chosen(one, 1, 3000) != chosen(two, 1, 3000)
