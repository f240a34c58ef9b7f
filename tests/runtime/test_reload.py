"""Other files for a running node: whole or not at all, and nothing that is under way notices."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from ack_listener import AckListener
from certificates import Made, make
from command_line import Ended, bridge_process
from free_port import free_port
from lane_messages import change_api, line, message
from nodes import Hospital, entries, hospital, steps_of
from odd_sender import Connection as Sender
from reactor_tests import in_reactor, pause, until
from structlog.testing import capture_logs
from tls_site import TlsHospital, tls_hospital, with_tls
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.threads import deferToThread

from bridge.cli.demo import CHANNEL
from bridge.cli.fake_api import FakeApi, Fault
from bridge.cli.synthetic import Synthetic
from bridge.config.difference import Difference
from bridge.config.topology import Api
from bridge.destinations.base import Destination
from bridge.destinations.in_loop import in_loop
from bridge.errors import CertificateRefused, ConfigurationRefused, PeerUnavailable
from bridge.formats.mllp_framing import frame
from bridge.journal.actions import latest
from bridge.journal.controls import Control
from bridge.journal.sealing import Key
from bridge.journal.search import story
from bridge.runtime.commands import Commands
from bridge.runtime.rehearsal import Rehearsal
from bridge.runtime.reload import ReloadRefused
from bridge.units import SecretRef


def change(site: Hospital, path: str, old: str, new: str) -> None:
    file = site.folder / "site" / path
    file.write_text(line(old, new)(file.read_text()))


ADT = f"channels/{CHANNEL}.yaml"
MAPPING = "mappings/adt-admit.yaml"
LINE1 = "      line1:              PID-11.1\n"
LINE1_WITH_CITY = "      line1:              join(' ', PID-11.1, PID-11.3)\n"
UNCHANGED: dict[str, tuple[str, ...]] = {"added": (), "removed": (), "changed": ()}


async def reload(site: Hospital) -> Difference:
    assert site.node is not None
    return (await site.node.reload()).difference


@in_reactor
async def test_what_was_mapped_is_sent_as_it_was_and_what_comes_next_by_the_new_mapping(
    tmp_path: Path,
) -> None:
    async with hospital(tmp_path) as site:
        assert site.node is not None
        site.patients.plant(Fault("status", status=503, times=3))
        await site.send(message(1, 1), message(2, 1))
        await until(lambda: len(site.patients.attempts) >= 1, "it is tried")
        change(site, MAPPING, LINE1, LINE1_WITH_CITY)
        found = await reload(site)
        assert (found.channels.changed, found.apis.changed) == ((CHANNEL,), ())
        await site.send(message(1, 2))
        assert entries(await site.settled()) == {"delivered": 3}
        assert [each.mark for each in site.patients.applied if "100001" in each.path] == [
            "1 ELM STREET",
            "2 ELM STREET AUSTIN",
        ]
        before, after = await site.node.journal.read(story, 1), await site.node.journal.read(story, 3)
        assert before is not None
        assert after is not None
        assert before.deliveries[0]["mapping_digest"] != after.deliveries[0]["mapping_digest"]


@in_reactor
async def test_a_connection_and_a_half_sent_block_live_on(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        assert site.node is not None
        sender = await in_loop(Sender.to(site.node.addresses()[CHANNEL]))
        whole = frame(message(1, 1).body)
        await in_loop(sender.write(whole[:200]))
        change(site, ADT, 'interface=127.0.0.1"', 'interface=127.0.0.1", max_unanswered: 7')
        change(site, MAPPING, LINE1, LINE1_WITH_CITY)
        await reload(site)
        await in_loop(sender.write(whole[200:]))
        await in_loop(sender.answers(1))
        await in_loop(sender.write(frame(message(1, 2).body)))
        await in_loop(sender.answers(1))
        assert entries(await site.settled()) == {"delivered": 2}
        await in_loop(sender.close())


@in_reactor
async def test_with_a_mistake_in_a_file_the_node_runs_on_as_before(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        change(site, MAPPING, LINE1, LINE1_WITH_CITY)
        change(site, ADT, "order_by:", "ordr_by:")
        with pytest.raises(ConfigurationRefused) as refused:
            await reload(site)
        assert any("did you mean 'order_by'?" in str(each) for each in refused.value.problems)
        await site.send(message(1, 1))
        assert entries(await site.settled()) == {"delivered": 1}
        assert site.patients.applied[0].mark == "1 ELM STREET"
        change(site, ADT, "ordr_by:", "order_by:")
        await reload(site)
        await site.send(message(1, 2))
        await site.settled()
        assert site.patients.applied[1].mark == "2 ELM STREET AUSTIN"


@in_reactor
async def test_nothing_changed_changes_nothing(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        assert not await reload(site)


@in_reactor
async def test_a_port_that_moves_is_open_before_the_old_one_closes(tmp_path: Path) -> None:
    first, second = free_port(), free_port()
    async with hospital(tmp_path, line('"tcp:0:', f'"tcp:{first}:')) as site:
        assert site.node is not None
        change(site, ADT, f"tcp:{first}:", f"tcp:{second}:")
        await reload(site)
        assert site.node.addresses()[CHANNEL] == second
        await site.send(message(1, 1))
        assert entries(await site.settled()) == {"delivered": 1}
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", first), timeout=5)


@in_reactor
async def test_a_port_that_is_taken_leaves_everything_as_it_was(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        assert site.node is not None
        site_before = site.node.addresses()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            add_feed(site, taken.getsockname()[1])
            change(site, MAPPING, LINE1, LINE1_WITH_CITY)
            with pytest.raises(PeerUnavailable, match="cannot listen"):
                await reload(site)
        assert set(site.node.outlets) == {"ehr.patients", "ehr.encounters"}
        assert set(site.node.doors) == {CHANNEL}
        assert site.node.addresses() == site_before
        await site.send(message(1, 1))
        await site.settled()
        assert site.patients.applied[0].mark == "1 ELM STREET"
        assert "night.patients" in (await reload(site)).apis.added, "and the port is free now"


@in_reactor
async def test_what_calls_an_api_that_cannot_be_made_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hospital(tmp_path) as site:
        node = site.node
        assert node is not None
        before, ways_out = node.parts.topology, {name: each.api for name, each in node.outlets.items()}
        for name in ways_out:
            api = tmp_path / "site" / "channels" / "apis" / f"{name}.yaml"
            api.write_text(api.read_text() + "# changed\n")
        make = node.parts.destination

        def one_cannot_be_made(api: Api) -> Destination:
            if api.name == max(ways_out):
                raise PeerUnavailable("a library is not installed")
            return make(api)

        monkeypatch.setattr(node.parts, "destination", one_cannot_be_made)
        with pytest.raises(PeerUnavailable):
            await reload(site)
        assert node.parts.topology is before
        assert node.journal.writer.configuration == before.digest
        assert {name: each.api for name, each in node.outlets.items()} == ways_out


@in_reactor
async def test_who_calls_an_api_is_let_go_once_nothing_is_called_by_it(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        assert site.node is not None
        api = tmp_path / "site" / "channels" / "apis" / "ehr.patients.yaml"
        for number in range(1, 4):
            await site.send(message(number, 1))
            await site.settled()
            api.write_text(api.read_text() + "# changed\n")
            await reload(site)
        assert not site.node.outlets["ehr.patients"]._calling


@in_reactor
async def test_all_that_is_paused_goes_on_although_a_reload_has_taken_some_of_it_out(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        node = site.node
        assert node is not None
        add_feed(site, free_port())
        await reload(site)
        for name in ("night", CHANNEL):
            at_us = node.parts.world.now_us()
            await node.traffic.pause(Control("channel", name, True, None, at_us, "user:x", "a move"))
        (tmp_path / "site" / "channels" / "night.yaml").unlink()
        await reload(site)
        commands = Commands(node.parts, node.traffic, node.reload, node.stages, node.approving)
        await commands("user:x", "resume-all", {"reason": "the move is over"})
        assert node.traffic.stopped == []
        assert node.traffic.takes(CHANNEL)


def add_feed(site: Hospital, port: int) -> None:
    """Another channel with an API of its own, which is the first one's under another name."""
    folder = site.folder / "site" / "channels"
    api = (folder / "apis" / "ehr.patients.yaml").read_text()
    (folder / "apis" / "night.patients.yaml").write_text(api.replace("ehr.patients", "night.patients"))
    (folder / "night.yaml").write_text(
        "channel: night\n"
        f'source: {{mllp: {{listen: "tcp:{port}:interface=127.0.0.1"}}}}\n'
        "accept: [ADT^A01, ADT^A08]\norder_by: PID-3(5=MR)\n"
        "routes:\n  - {route: patient, mapping: adt-admit, record: patient,"
        " to: {api: night.patients, operations: {upsert: putPatient, merge: mergePatients}}}\n"
    )


@in_reactor
async def test_a_channel_and_an_api_come_and_go_and_what_waits_for_them_is_kept(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        assert site.node is not None
        add_feed(site, 0)
        found = await reload(site)
        assert (found.channels.added, found.apis.added) == (("night",), ("night.patients",))
        site.node.outlets["night.patients"].pause("api")
        await send_to(site, "night", message(1, 1), message(1, 2))
        assert site.patients.applied == []
        removed = [
            site.folder / "site/channels/night.yaml",
            site.folder / "site/channels/apis/night.patients.yaml",
        ]
        kept = [path.read_text() for path in removed]
        for path in removed:
            path.unlink()
        found = await reload(site)
        assert (found.channels.removed, found.apis.removed) == (("night",), ("night.patients",))
        await site.send(message(2, 1))
        await until(lambda: len(site.patients.applied) == 1, "the other channel goes on")
        for path, text in zip(removed, kept, strict=True):
            path.write_text(text)
        await until(lambda: not site.node or not site.node.parts.leaving, "it has ended")
        await reload(site)
        await until(lambda: steps_of(site.patients, "100001") == [1, 2], "what waited goes, in order")


async def send_to(site: Hospital, channel: str, *messages: Any) -> None:
    assert site.node is not None
    sender = await in_loop(Sender.to(site.node.addresses()[channel]))
    for each in messages:
        await in_loop(sender.write(frame(each.body)))
        await in_loop(sender.answers(1))
    await in_loop(sender.close())


@in_reactor
async def test_what_waits_goes_where_the_new_file_says_and_at_once(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        assert site.node is not None
        url = next(
            each.split()[1]
            for each in (tmp_path / "site/channels/apis/ehr.patients.yaml").read_text().splitlines()
            if each.startswith("base_url")
        )
        change_api(site, "ehr.patients", url, f"http://127.0.0.1:{free_port()}")
        change_api(site, "ehr.patients", "{open: 50ms, open_max: 200ms}", "{open: 1h, open_max: 1h}")
        await reload(site)
        await site.send(*(message(patient, 1) for patient in range(8)))
        operations = site.node.outlets["ehr.patients"].status
        await until(lambda: operations()["operations"]["putPatient"]["state"] == "open", "it is left alone")
        moved = FakeApi(mark="line1")
        change_api(site, "ehr.patients", "base_url: http", f"base_url: {await in_loop(moved.start())} # http")
        await reload(site)
        assert entries(await site.settled()) == {"delivered": 8}
        assert len(moved.applied) == 8
        await in_loop(moved.stop())


@in_reactor
async def test_a_call_under_way_ends_by_what_it_began_with(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        assert site.node is not None
        site.patients.plant(Fault("delay", seconds=1.0))
        await site.send(message(1, 1))
        await until(lambda: len(site.patients.attempts) == 1, "it is under way")
        change_api(site, "ehr.patients", "limits: {in_flight: 8}", "limits: {in_flight: 2}")
        await reload(site)
        assert entries(await site.settled()) == {"delivered": 1}
        assert len(site.patients.attempts) == 1, "it was neither cut nor repeated"


@in_reactor
async def test_another_order_is_taken_only_when_nothing_keeps_the_old_one(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        assert site.node is not None
        site.patients.plant(Fault("status", status=503, times=None))
        await site.send(message(1, 1))
        await pause(0.2)
        change(site, ADT, "order_by: PID-3(5=MR)", "order_by: PV1-19.1")
        with pytest.raises(ReloadRefused, match=r"are not finished.*bridge pause ehr-adt --intake"):
            await reload(site)
        site.patients._faults.clear()
        await site.settled()
        assert (await reload(site)).reordered == (CHANNEL,)
        await site.send(message(1, 2))
        assert entries(await site.settled()) == {"delivered": 2}


@in_reactor
async def test_what_a_person_has_paused_stays_so(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        assert site.node is not None
        await command(site, "pause", CHANNEL, "--reason", "to see")
        change(site, MAPPING, LINE1, LINE1_WITH_CITY)
        change_api(site, "ehr.patients", "limits: {in_flight: 8}", "limits: {in_flight: 2}")
        await reload(site)
        await site.send(message(1, 1))
        await pause(0.3)
        assert site.patients.applied == []
        await command(site, "resume", CHANNEL, "--reason", "seen")
        assert entries(await site.settled()) == {"delivered": 1}


async def command(site: Hospital, *arguments: object, status: int = 0) -> str:
    url = f"sqlite:///{site.folder / 'journal.db'}"
    ended: Ended = await deferToThread(bridge_process, *arguments, "--journal", url, NO_COLOR="1")
    assert ended.status == status, ended.said
    return ended.said


@in_reactor
async def test_the_command_says_that_another_key_of_the_journal_is_in_use(tmp_path: Path) -> None:
    keys = [Key.made(name, bytes([at]) * 32) for at, name in enumerate(("first", "second"))]
    given, site = keys[:1], Hospital(tmp_path)
    site.keys, site.secrets = SecretRef("env", "KEYS"), lambda _: "\n".join(key.line for key in given)
    await site.open()
    try:
        node = await site.start()
        assert await command(site, "reload") == "nothing has changed\n"
        given.insert(0, keys[1])
        said = await command(site, "reload")
        assert said == "other keys of the journal are in use: second is the current one\n"
        assert await command(site, "reload") == "nothing has changed\n"
        reasons = [row.reason for row in await node.journal.read(latest)]
        assert reasons == ["nothing has changed", "files changed", "nothing has changed"]
    finally:
        await site.close()


WARNED_OF = """\
consent:
  mode: lenient
  purpose: TREAT
  registry: {url: "http://127.0.0.1:9/Consent?patient={patient}"}
"""


@in_reactor
async def test_the_command_shows_what_changed_or_every_mistake_and_leaves_a_row(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        assert site.node is not None
        assert await command(site, "reload") == "nothing has changed\n"
        change(site, MAPPING, LINE1, LINE1_WITH_CITY)
        said = json.loads(await command(site, "reload", "--reason", "v1.1", "--format", "json"))
        assert said["channels"]["changed"] == [CHANNEL]
        change(site, ADT, "accept:", "acept:")
        change(site, "channels/apis/ehr.patients.yaml", "api:", f"{WARNED_OF}api:")
        with capture_logs() as logs:
            refused = await command(site, "reload", status=1)
        logged = [each for each in logs if each["event"] == "not-reloaded"]
        assert logged, "whoever asked for it"
        assert all("C193" not in told for told in (refused, str(logged))), "a warning is not why"
        assert f"{ADT}:" in refused
        assert "did you mean 'accept'?" in refused
        assert "runs on by the files it had" in refused
        rows = await site.node.journal.read(latest)
        assert [(row.action, row.reason) for row in rows] == [
            ("reload", "v1.1"),
            ("reload", "nothing has changed"),
        ]


@in_reactor
async def test_two_at_once_are_one_after_the_other_or_refused(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        both: list[tuple[bool, Any]] = await DeferredList(
            [Deferred.fromCoroutine(reload(site)) for _ in range(2)], consumeErrors=True
        )
        assert sorted(done for done, _ in both) == [False, True]
        (refused,) = [failure for done, failure in both if not done]
        assert refused.check(ReloadRefused)


@in_reactor
async def test_whom_a_port_trusts_changes_for_new_connections_and_open_ones_stay(tmp_path: Path) -> None:
    async with tls_hospital(tmp_path) as site:
        icu, lab = site.peer("icu"), make(site.pki, "lab", site.ca, names=("lab.example",), purpose="client")
        sender = await deferToThread(site.sender, icu)
        change(site, ADT, 'peers: ["*.ward.example"]', "peers: [lab.example]")
        await reload(site)
        assert await deferToThread(is_refused, site, icu)
        for each, step in ((sender, 2), (await deferToThread(site.sender, lab), 3)):
            await deferToThread(each.send, message(1, step).body)
            each.close()
        assert entries(await site.settled()) == {"delivered": 2}


def is_refused(site: TlsHospital, shown: Made) -> bool:
    """Whether a sender with this certificate gets nothing through; to be run in a thread."""
    sender = None
    try:
        sender = site.sender(shown)
        sender.send(message(1, 1).body)
    except PeerUnavailable:
        return True
    finally:
        if sender is not None:
            sender.close()
    return False


@in_reactor
async def test_a_certificate_that_cannot_be_used_leaves_everything_as_it_was(tmp_path: Path) -> None:
    async with tls_hospital(tmp_path) as site:
        change(site, ADT, "certificate: tls/bridge.pem", "certificate: tls/other.pem")
        change(site, MAPPING, LINE1, LINE1_WITH_CITY)
        with pytest.raises(CertificateRefused, match=r"other\.pem"):
            await reload(site)
        refused = await command(site, "reload", status=1)
        assert "other.pem" in refused
        assert "runs on by the files it had" in refused
        sender = await deferToThread(site.sender, site.peer("icu"))
        await deferToThread(sender.send, message(1, 1).body)
        sender.close()
        await site.settled()
        assert site.patients.applied[0].mark == "1 ELM STREET"


@in_reactor
async def test_tls_begins_on_a_port_once_its_door_was_closed(tmp_path: Path) -> None:
    made = TlsHospital(tmp_path)
    await made.open()
    try:
        await made.start()
        file = made.site / ADT
        file.write_text(with_tls(file.read_text()))
        with pytest.raises(PeerUnavailable, match="bridge pause ehr-adt --intake"):
            await reload(made)
        await command(made, "pause", CHANNEL, "--intake", "--reason", "TLS begins")
        await reload(made)
        await command(made, "resume", CHANNEL, "--reason", "TLS begins")
        sender = await deferToThread(made.sender, made.peer("icu"))
        await deferToThread(sender.send, message(1, 1).body)
        sender.close()
        assert entries(await made.settled()) == {"delivered": 1}
    finally:
        await made.close()


@in_reactor
async def test_a_listener_that_moves_gets_what_the_old_one_did_not_take(tmp_path: Path) -> None:
    listener, nowhere = AckListener(), free_port()
    port = await in_loop(listener.start())
    options = f'mode: enhanced, application_ack: "tcp:127.0.0.1:{nowhere}"'
    async with hospital(tmp_path, line('interface=127.0.0.1"', f'interface=127.0.0.1", {options}')) as site:
        body = message(1, 1).body.replace(b"|P|2.5.1|||AL|NE|", b"|P|2.5.1|||AL|AL|")
        await send_to(site, CHANNEL, Synthetic("", 1, "", body))
        await pause(0.3)
        change(site, ADT, f":{nowhere}", f":{port}")
        await reload(site)
        await until(lambda: listener.heard == [("AA", "C1-1-A08")], "the other listener hears it")
    await in_loop(listener.stop())


# What would change, before it does.


@in_reactor
async def test_before_another_mapping_is_used_it_is_tried_on_the_last_messages(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        assert site.node is not None
        await site.send(message(1, 1), message(2, 1), message(3, 1))
        await site.settled()
        change(site, MAPPING, LINE1, LINE1_WITH_CITY)
        reloaded = await site.node.reload()
        ((name, impact),) = reloaded.impact.items()
        assert name == f"{CHANNEL}: adt-admit"
        assert (impact.messages, impact.changed, impact.fails_now) == (3, 3, 0)
        assert [cluster for cluster, _ in impact.rows()] == [("patient", "line1", "changes")]
        assert (await site.node.reload()).impact == {}, "it is the one in use by now"


@in_reactor
async def test_a_mapping_that_would_change_records_can_be_refused(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        assert site.node is not None
        await site.send(message(1, 1), message(2, 1))
        await site.settled()
        before = site.node.parts.topology.digest
        change(site, MAPPING, LINE1, LINE1_WITH_CITY)
        with pytest.raises(ReloadRefused) as refused:
            await site.node.reload(Rehearsal(100, "refuse"))
        said = str(refused.value)
        assert "2 of the last 2 messages would be mapped otherwise" in said
        assert "patient.line1 changes in 2" in said
        assert "ELM" not in said
        assert site.node.parts.topology.digest == before
        change(site, MAPPING, LINE1_WITH_CITY, LINE1)
        assert not (await site.node.reload(Rehearsal(100, "refuse"))).difference, "as it was"


@in_reactor
async def test_a_mapping_without_effect_on_records_is_not_refused(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        assert site.node is not None
        await site.send(message(1, 1))
        await site.settled()
        change(site, MAPPING, LINE1, LINE1 + "      # the street\n")
        reloaded = await site.node.reload(Rehearsal(100, "refuse"))
        assert reloaded.difference.channels.changed == (CHANNEL,)
        assert [impact.changed for impact in reloaded.impact.values()] == [0]


@in_reactor
async def test_bridge_reload_says_what_would_be_otherwise_and_shows_no_value(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        await site.send(message(1, 1))
        await site.settled()
        change(site, MAPPING, LINE1, LINE1_WITH_CITY)
        refused = await command(site, "reload", "--on-change", "refuse", status=1)
        assert "patient.line1 changes in 1" in refused
        done = await command(site, "reload")
        assert "1 of the last 1 message would be mapped otherwise" in done
        assert ["patient.line1", "changes", "1"] in [row.split() for row in done.splitlines()]
        assert "ELM" not in done + refused
