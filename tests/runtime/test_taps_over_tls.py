"""Taps that listen over TLS: who shows a certificate of the site's authority gets in, and nobody else."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from certificates import Made, make
from free_port import free_port
from reactor_tests import in_reactor
from tls_site import TlsHospital
from twisted.internet.threads import deferToThread

from bridge.cli.demo import CHANNEL
from bridge.cli.fake_api import FakeApi
from bridge.cli.fake_mllp import FakeReceiver
from bridge.cli.send import Sender
from bridge.cli.synthetic import admission
from bridge.destinations.in_loop import in_loop
from bridge.errors import BridgeError, PeerUnavailable
from bridge.formats.hl7v2_answer import read_answer
from bridge.tls.client import Tls, client_context

TLS = "tls: {certificate: tls/bridge.pem, key: secret://file/bridge.key, client_ca: tls/ca.pem}"
SITE = """\
channel: {channel}
source:
  mllp: {{listen: "tcp:0:interface=127.0.0.1"}}
accept: [ADT^*]
order_by: PID-3.1
legacy:
  mllp: "{receiver}"
  taps:
    - route: copy
      mllp: {{listen: "tcp:{mllp}:interface=127.0.0.1", pass_to: "{receiver}", {tls}}}
    - route: other
      http: {{listen: "tcp:{http}:interface=127.0.0.1", pass_to: "{api}", {tls}}}
routes:
  - route: copy
    to: {{api: receiver}}
  - route: other
    to: {{api: receiver}}
"""
API = """\
api: receiver
mllp: {{connect: "{receiver}"}}
send: original
carries: {{phi: true}}
repeat_safety: header
"""


def context_of(made: TlsHospital, shown: Made | None) -> ssl.SSLContext:
    who = {} if shown is None else {"certificate": shown.path, "key": shown.key_path}
    return client_context(Tls.model_validate({"ca": made.ca.path, **who}))


def post(made: TlsHospital, port: int, shown: Made | None) -> int:
    """A call of the old engine's; its status, or 0 where no connection came about."""
    request = urllib.request.Request(f"https://localhost:{port}/patients/1", b"{}", method="PUT")
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=20, context=context_of(made, shown)) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as answer:
        return answer.code
    except OSError:
        return 0


def say(made: TlsHospital, port: int, shown: Made | None, step: int) -> str:
    """The answer to a message of the old engine's; empty where no connection came about."""
    try:
        sender = Sender("127.0.0.1", port, wait_s=20, tls=context_of(made, shown), server_name="localhost")
    except BridgeError:
        return ""
    try:
        return code_of(sender.send(admission(7, step, "A08", control_id=f"T{step}").body))
    except BridgeError:
        return ""  # a server of TLS 1.3 refuses a client when that believes itself connected
    finally:
        sender.close()


def code_of(answer: bytes) -> str:
    read = read_answer(answer)
    assert read is not None
    return read.code


@in_reactor
async def test_the_old_engine_connects_to_a_tap_over_tls_with_a_certificate_of_its_own(
    tmp_path: Path,
) -> None:
    receiver, api, made = FakeReceiver(), FakeApi(), TlsHospital(tmp_path)
    ports = {"mllp": free_port(), "http": free_port()}
    places = {"receiver": await in_loop(receiver.start()), "api": await in_loop(api.start())}
    apis = made.site / "channels" / "apis"
    apis.mkdir(parents=True)
    (made.site / "mappings").mkdir()
    (apis.parent / f"{CHANNEL}.yaml").write_text(SITE.format(channel=CHANNEL, tls=TLS, **ports, **places))
    (apis / "receiver.yaml").write_text(API.format(**places))
    stranger = make(made.pki, "stranger", make(made.pki, "other-ca"), purpose="client")
    try:
        await made.start()
        known = made.peer("engine")
        assert await deferToThread(say, made, ports["mllp"], known, 1) == "AA"
        assert await deferToThread(post, made, ports["http"], known) not in (0, 502)
        assert [len(receiver.applied), len(api.applied)] == [1, 1]
        for shown in (None, stranger):
            assert await deferToThread(say, made, ports["mllp"], shown, 2) == ""
            assert await deferToThread(post, made, ports["http"], shown) == 0
        assert [len(receiver.applied), len(api.applied)] == [1, 1]
        # A certificate that is made anew is taken without a restart.
        renewed = made.renew((-1, 200))
        assert made.node is not None
        made.node.look_at_certificates()
        for route in ("copy", "other"):
            told = made.node.metrics.registry.get_sample_value(
                "bridge_certificate_expires_timestamp_seconds",
                {"channel": CHANNEL, "file": f"certificate (tap of {route})"},
            )
            assert told == pytest.approx(renewed.certificate.not_valid_after_utc.timestamp())
        assert await deferToThread(say, made, ports["mllp"], known, 3) == "AA"
        await made.stop()
        (made.site / "tls" / "bridge.pem").write_bytes(b"no certificate")
        with pytest.raises(PeerUnavailable, match=f"the tap of {CHANNEL}/copy cannot listen"):
            await made.start()
    finally:
        await made.stop()
        await in_loop(receiver.stop())
        await in_loop(api.stop())


PASSING = """\
channel: {channel}
source:
  mllp: {{listen: "tcp:0:interface=127.0.0.1"}}
accept: [ADT^*]
order_by: PID-3.1
legacy:
  mllp: "tcp:127.0.0.1:9"
  taps:
    - route: copy
      http: {{listen: "tcp:{port}:interface=127.0.0.1", pass_to: "{to}", pass_tls: {tls}}}
routes:
  - route: copy
    to: {{api: receiver}}
"""


def get(port: int) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/patients/1", timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as answer:
        return answer.code


@in_reactor
async def test_a_tap_passes_on_with_a_renewed_certificate_and_tells_the_file_that_keeps_it_from_passing(
    tmp_path: Path,
) -> None:
    api, made, port = FakeApi(), TlsHospital(tmp_path), free_port()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trusted, ours = make(made.pki, "trusted"), make(made.pki, "api", made.ca)
    server.load_cert_chain(ours.path, ours.key_path)
    server.load_verify_locations(trusted.path)
    server.verify_mode = ssl.CERT_REQUIRED
    to = (await in_loop(api.start(tls=server))).replace("127.0.0.1", "localhost")
    refused, taken = (make(made.pki, name, by, fresh=True) for name, by in (("a", made.ca), ("b", trusted)))
    own, key = made.site / "own.pem", made.site / "own.key"

    def show(shown: Made) -> None:
        own.write_bytes(shown.path.read_bytes())
        key.write_bytes(shown.key_path.read_bytes())

    show(refused)
    apis = made.site / "channels" / "apis"
    apis.mkdir(parents=True)
    (made.site / "mappings").mkdir()
    tls = f"{{ca: {made.ca.path}, certificate: {own}, key: {key}}}"
    text = PASSING.format(channel=CHANNEL, port=port, to=to, tls=tls)
    (apis.parent / f"{CHANNEL}.yaml").write_text(text)
    (apis / "receiver.yaml").write_text(API.format(receiver="tcp:127.0.0.1:9"))
    try:
        node = await made.start()
        assert await deferToThread(get, port) == 502
        show(taken)
        node.look_at_certificates()
        assert await deferToThread(get, port) not in (500, 502)
        await made.stop()
        key.unlink()
        node = await made.start()
        assert await deferToThread(get, port) == 502
        assert "own.key cannot be read: No such file" in node.parts.taps_shut(CHANNEL)["copy"]
        show(taken)
        node.look_at_certificates()
        assert node.parts.taps_shut(CHANNEL) == {}
        assert await deferToThread(get, port) not in (500, 502)
    finally:
        await made.stop()
        await in_loop(api.stop())
