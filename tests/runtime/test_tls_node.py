"""TLS in a whole node: who sent it, what is counted and told, and files that stop a start."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from certificates import Made, make
from command_line import Ended, bridge, bridge_process
from nodes import entries
from reactor_tests import in_reactor, until
from tls_site import TlsHospital, tls_hospital, with_tls
from twisted.internet.threads import deferToThread

from bridge.catalog import STANDARD
from bridge.cli.demo import CHANNEL
from bridge.cli.synthetic import admission
from bridge.config.load import load
from bridge.errors import CertificateRefused, PeerUnavailable
from bridge.journal.ledger import ledger
from bridge.runtime import service


async def ran(site: TlsHospital, *arguments: object) -> Ended:
    """A command on this site's journal, as a process of its own."""
    url = f"sqlite:///{site.folder / 'journal.db'}"
    ended: Ended = await deferToThread(bridge_process, *arguments, "--journal", url, NO_COLOR="1")
    return ended


def message_file(folder: Path) -> Path:
    path = folder / "admission.hl7"
    path.write_bytes(admission(1, 1, "A01", control_id="T1").body)
    return path


@in_reactor
async def test_a_message_over_tls_is_taken_and_shown_with_its_senders_name(tmp_path: Path) -> None:
    async with tls_hospital(tmp_path) as site:
        shown = site.peer("icu")
        assert site.node is not None
        address = f"127.0.0.1:{site.node.addresses()[CHANNEL]}"
        files = ("--ca", site.ca.path, "--cert", shown.path, "--key", shown.key_path)
        sent = await deferToThread(
            bridge_process,
            "send",
            message_file(tmp_path),
            address,
            "--tls",
            *files,
            "--server-name",
            "localhost",
        )
        assert (sent.status, sent.out[:2]) == (0, "AA")
        assert entries(await site.settled()) == {"delivered": 1}
        assert "from 127.0.0.1 icu.ward.example" in (await ran(site, "show", "1")).out


SENDERS: list[tuple[str, Callable[[TlsHospital], list[object]], str]] = [
    ("no certificate", lambda site: ["--ca", site.ca.path], "TLS was refused there"),
    (
        "an unknown listener",
        lambda site: ["--ca", make(site.pki, "other").path],
        "certificate is not trusted",
    ),
    (
        "another name",
        lambda site: ["--ca", site.ca.path, "--server-name", "x.example"],
        "see --ca and --server",
    ),
]


@pytest.mark.parametrize(("case", "options", "words"), SENDERS)
@in_reactor
async def test_a_sender_is_told_why_tls_failed(
    tmp_path: Path, case: str, options: Callable[[TlsHospital], list[object]], words: str
) -> None:
    async with tls_hospital(tmp_path) as site:
        assert site.node is not None
        address = f"localhost:{site.node.addresses()[CHANNEL]}"
        sent = await deferToThread(
            bridge_process, "send", message_file(tmp_path), address, "--tls", *options(site)
        )
        assert (sent.status, words in sent.err) == (3, True), sent.err
        assert sent.err.count("\n") == 1
        assert (await site.node.journal.read(ledger)).received == {}


def send_and_close(site: TlsHospital, shown: Made) -> bytes:
    with closing(site.sender(shown)) as sender:
        return sender.send(b"MSH|")


@in_reactor
async def test_refusals_and_ends_are_metrics_and_what_ends_soon_is_a_worry(tmp_path: Path) -> None:
    async with tls_hospital(tmp_path) as site:
        assert site.node is not None
        calm = await ran(site, "status", "--check")
        assert "expires" not in calm.said

        stranger = site.peer("lab", make(site.pki, "other"))
        with pytest.raises(PeerUnavailable, match="no answer: "):
            await deferToThread(send_and_close, site, stranger)
        label = f'channel="{CHANNEL}"'
        refused = f'bridge_tls_refused_total{{{label},reason="tls-unknown-ca"}} 1.0'.encode()
        metrics = site.node.metrics
        await until(lambda: refused in metrics.exposition(), "the refusal is counted")

        renewed = site.renew((-80, 9))
        site.node.look_at_certificates()
        ends_s = renewed.certificate.not_valid_after_utc.timestamp()
        assert metrics.registry.get_sample_value(
            "bridge_certificate_expires_timestamp_seconds", {"channel": CHANNEL, "file": "certificate"}
        ) == pytest.approx(ends_s)
        worried = await ran(site, "status", "--check")
        assert (worried.status, f"the certificate of {CHANNEL} expires in" in worried.said) == (1, True)

        (site.site / "tls" / "bridge.pem").write_text("half")
        site.node.look_at_certificates()
        assert "are not in use" in (await ran(site, "status", "--check")).said


@in_reactor
async def test_a_channel_whose_files_cannot_be_used_does_not_start_and_leaves_nothing_behind(
    tmp_path: Path,
) -> None:
    made = TlsHospital(tmp_path)
    await made.open(with_tls)
    try:
        made.renew((-9, -1))
        with pytest.raises(
            CertificateRefused, match=f"channel {CHANNEL}: .*bridge.pem: CN=bridge has expired"
        ):
            await made.start()
        made.renew()
        await made.start()
    finally:
        await made.close()


@in_reactor
async def test_a_door_that_was_closed_opens_with_the_files_of_now(tmp_path: Path) -> None:
    async with tls_hospital(tmp_path) as site:
        assert site.node is not None
        door = site.node.doors[CHANNEL]
        await door.close()
        assert dict(door.certificates_end_s) == {}
        renewed = site.renew((-1, 400))
        await door.open()
        ends_s = renewed.certificate.not_valid_after_utc.timestamp()
        assert door.certificates_end_s["certificate"] == pytest.approx(ends_s)


@in_reactor
async def test_a_door_that_cannot_open_for_its_files_is_told_in_a_sentence(tmp_path: Path) -> None:
    async with tls_hospital(tmp_path) as site:
        paused = await ran(site, "pause", CHANNEL, "--intake", "--reason", "renewal")
        assert paused.status == 0, paused.said
        site.renew((-9, -1))
        resumed = await ran(site, "resume", CHANNEL, "--reason", "renewed")
        assert resumed.status == 3
        assert "bridge.pem: CN=bridge has expired" in resumed.err
        assert "Traceback" not in resumed.err
        site.renew()
        assert (await ran(site, "resume", CHANNEL, "--reason", "renewed")).status in (0, 1)
        assert site.node is not None
        assert site.node.doors[CHANNEL].is_open


@in_reactor
async def test_a_channel_whose_revocation_list_has_expired_is_a_worry_and_the_node_stays_ready(
    tmp_path: Path,
) -> None:
    async with tls_hospital(tmp_path) as site:
        assert site.node is not None
        listener: Any = site.node.doors[CHANNEL]._listener
        listener._tls._made = replace(listener._tls._made, ends_s={"crl": 1.0})
        worried = await ran(site, "status", "--check")
        assert (worried.status, f"the crl of {CHANNEL} has expired" in worried.said) == (1, True)
        assert site.node.unready() == []


@in_reactor
async def test_a_running_node_looks_at_its_files_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "CERTIFICATES_EVERY_S", 0.05)
    async with tls_hospital(tmp_path) as site:
        assert site.node is not None
        door = site.node.doors[CHANNEL]
        ends_s = site.renew((-1, 300)).certificate.not_valid_after_utc.timestamp()
        await until(lambda: door.certificates_end_s["certificate"] == ends_s, "the new one is in use")


# On the command line


@pytest.fixture(name="files")
def _files(tmp_path: Path) -> TlsHospital:
    """A site with its files, and no node."""
    from bridge.cli.demo_site import write_site

    made = TlsHospital(tmp_path)
    write_site(made.site, patients_url="http://127.0.0.1:9", encounters_url="http://127.0.0.1:9")
    channel = made.site / "channels" / f"{CHANNEL}.yaml"
    channel.write_text(with_tls(channel.read_text()))
    return made


def run(files: TlsHospital, command: str, *arguments: object) -> Ended:
    environment = {
        "BRIDGE_SECRETS": str(files.site / "secrets"),
        "BRIDGE_ADMIN_PORT": "0",
        "BRIDGE_JOURNAL": f"sqlite:///{files.folder / 'journal.db'}",
        "NO_COLOR": "1",
    }
    if command == "run":
        return bridge_process(command, "--config", files.site, *arguments, cwd=None, **environment)
    with patch.dict(os.environ, environment):
        return bridge(command, "--config", files.site, *arguments)


STOPS: list[tuple[str, Callable[[TlsHospital], object], str]] = [
    ("expired", lambda files: files.renew((-9, -1)), "has expired at"),
    ("no file", lambda files: (files.site / "tls" / "ca.pem").unlink(), "ca.pem cannot be read"),
    (
        "a key that others can read",
        lambda files: (files.site / "secrets" / "bridge.key").chmod(0o644),
        "take that away: chmod 640 or 600",
    ),
]


@pytest.mark.parametrize(("case", "spoil", "words"), STOPS)
def test_run_refuses_to_start_in_a_sentence_and_check_reads_no_such_file(
    files: TlsHospital, case: str, spoil: Callable[[TlsHospital], object], words: str
) -> None:
    spoil(files)
    started = run(files, "run")
    assert started.status == 3
    assert words in started.err
    assert "Traceback" not in started.err
    assert "BEGIN" not in started.err
    assert run(files, "check").status == 0
    examined = run(files, "doctor", "--format", "json")
    bad = [each for each in json.loads(examined.out) if each["grade"] == "bad"]
    assert any(words in each["found"] for each in bad), bad


def test_doctor_tells_names_and_ends_of_good_files(files: TlsHospital) -> None:
    found = {each["about"]: each for each in json.loads(run(files, "doctor", "--format", "json").out)}
    assert found[f"TLS of {CHANNEL}"]["found"] == "CN=bridge, named localhost, 0 between; its key fits"
    assert found[f"certificate of {CHANNEL}"]["grade"] == "good"
    files.renew((-80, 9))
    found = {each["about"]: each for each in json.loads(run(files, "doctor", "--format", "json").out)}
    assert found[f"certificate of {CHANNEL}"]["grade"] == "warning"


def test_doctor_looks_at_certificates_for_apis_too(files: TlsHospital) -> None:
    api = files.site / "channels" / "apis" / "ehr.patients.yaml"
    files.peer("me")
    for name in ("me.pem", "me.key", "ca.pem"):
        target = files.site / "tls" / name
        target.write_bytes((files.pki / name).read_bytes())
        target.chmod(0o600)
    tls = "tls: {ca: tls/ca.pem, certificate: tls/me.pem, key: tls/me.key}\n"
    api.write_text(api.read_text() + tls)

    def findings() -> dict[str, str]:
        said = json.loads(run(files, "doctor", "--format", "json").out)
        return {each["about"]: each["grade"] for each in said}

    good = findings()
    assert good["certificate for ehr.patients"] == good["ca of ehr.patients"] == "good"
    assert good["key for ehr.patients"] == "good"
    (files.site / "tls" / "me.key").chmod(0o644)
    assert findings()["key for ehr.patients"] == "bad"
    make(files.pki, "stranger")
    (files.site / "tls" / "me.key").write_bytes((files.pki / "stranger.key").read_bytes())
    assert findings()["TLS to ehr.patients"] == "bad"


LEGACY = """
legacy:
  mllp: "tcp:localhost:9"
  tls: {ca: tls/ca.pem}
  taps:
    - route: ROUTE
      mllp: {listen: "tcp:0", pass_to: "tcp:localhost:9", pass_tls: {ca: tls/none.pem}}
"""


def test_doctor_looks_at_tls_to_the_old_engine_and_behind_taps_too(files: TlsHospital) -> None:
    channel = files.site / "channels" / f"{CHANNEL}.yaml"
    text = channel.read_text()
    route = text.partition("- route: ")[2].split()[0]
    channel.write_text(text + LEGACY.replace("ROUTE", route))
    said = {each["about"]: each for each in json.loads(run(files, "doctor", "--format", "json").out)}
    assert said[f"ca of the old engine of {CHANNEL}"]["grade"] == "good"
    tapped = said[f"TLS to what passes the tap of {CHANNEL}/{route}"]
    assert (tapped["grade"], "none.pem cannot be read" in tapped["found"]) == ("bad", True)


def test_relative_paths_begin_at_the_configurations_folder(files: TlsHospital) -> None:
    options: Any = load(files.site, STANDARD).channels[CHANNEL].source.options
    tls = options.tls
    assert tls.certificate == files.site / "tls" / "bridge.pem"


@pytest.mark.parametrize("arguments", [("--ca", "x"), ("--server-name", "x"), ("--tls", "--cert", "x")])
def test_send_refuses_options_that_do_not_go_together(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    ended = bridge("send", message_file(tmp_path), "127.0.0.1:9", *arguments)
    assert (ended.status, "go" in ended.err) == (2, True)
