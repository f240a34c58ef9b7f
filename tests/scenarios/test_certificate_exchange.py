"""Certificates are exchanged under load: no connection is dropped for it, no message lost."""

from __future__ import annotations

import ssl
import threading
from contextlib import closing
from pathlib import Path

import pytest
from certificates import Made, make
from cryptography import x509
from nodes import entries
from reactor_tests import in_reactor, pause, until
from structlog.testing import capture_logs
from tls_site import TlsHospital, tls_hospital
from twisted.internet.defer import gatherResults
from twisted.internet.threads import deferToThread

from bridge.cli.send import Sender
from bridge.cli.synthetic import admission
from bridge.errors import PeerUnavailable
from bridge.formats.hl7v2_reply import Acknowledged

pytestmark = pytest.mark.both_databases

SENDERS = 4
EXCHANGES = 8


def send_on(sender: Sender, number: int, enough: threading.Event) -> list[str]:
    """Send one message after the other over one connection until it is enough; the answers' codes."""
    codes: list[str] = []
    while not enough.is_set():
        step = len(codes) + 1
        control_id = f"S{number}-{step}"
        answer = Acknowledged.read(sender.send(admission(number, step, "A08", control_id=control_id).body))
        assert answer.control_id == control_id
        codes.append(answer.code)
    sender.close()
    return codes


@in_reactor
async def test_no_connection_and_no_message_is_lost_while_certificates_are_exchanged(tmp_path: Path) -> None:
    async with tls_hospital(tmp_path) as site:
        assert site.node is not None
        senders = [await deferToThread(site.sender, site.peer(f"w{number}")) for number in range(SENDERS)]
        assert len({serial(sender) for sender in senders}) == 1
        enough = threading.Event()
        with capture_logs() as logged:
            sending = [
                deferToThread(send_on, sender, number, enough) for number, sender in enumerate(senders)
            ]
            try:
                for _ in range(EXCHANGES):
                    made = site.renew()
                    # A file that is only half there, as another program writes it, is looked at too.
                    whole = (site.site / "tls" / "bridge.pem").read_bytes()
                    (site.site / "tls" / "bridge.pem").write_bytes(whole[:100])
                    site.node.look_at_certificates()
                    (site.site / "tls" / "bridge.pem").write_bytes(whole)
                    site.node.look_at_certificates()
                    newcomer = await deferToThread(site.sender, site.peer("new"))
                    assert serial(newcomer) == made.certificate.serial_number
                    newcomer.close()
                    await pause(0.2)
            finally:
                enough.set()
                answers = await gatherResults(sending)
        events = [each["event"] for each in logged]
        assert events.count("certificate-reloaded") == EXCHANGES
        assert not {"connection-dropped", "connection-lost", "sender-refused"} & set(events)
        codes = [code for each in answers for code in each]
        assert set(codes) == {"AA"}
        assert all(answers), "each sender has sent over its one connection"
        assert entries(await site.settled()) == {"delivered": len(codes)}


@in_reactor
async def test_a_new_authority_holds_for_new_connections_and_open_ones_stay(tmp_path: Path) -> None:
    async with tls_hospital(tmp_path) as site:
        assert site.node is not None
        other = make(site.pki, "other")
        old, new = site.peer("old"), site.peer("new", other)
        staying = await deferToThread(site.sender, old)
        await until(
            lambda: site.node is not None and site.node.doors["ehr-adt"].connections == 1, "connected"
        )
        assert await taken(site, new, 1) is None
        site.renew_authority(other)
        site.node.look_at_certificates()
        assert await taken(site, new, 2) == "AA"
        assert await taken(site, old, 3) is None
        answer = await deferToThread(staying.send, admission(4, 1, "A01", control_id="stays").body)
        assert Acknowledged.read(answer).code == "AA"
        staying.close()
        assert entries(await site.settled()) == {"delivered": 2}


async def taken(site: TlsHospital, shown: Made, number: int) -> str | None:
    """The answer's code for a message over a connection of its own, or None where it was refused."""

    def send() -> str | None:
        try:
            with closing(site.sender(shown)) as sender:
                answer = sender.send(admission(number, 1, "A01", control_id=f"N{number}").body)
        except PeerUnavailable:
            return None
        return Acknowledged.read(answer).code

    code: str | None = await deferToThread(send)
    return code


def serial(sender: Sender) -> int:
    """The serial number of the certificate that the listener has shown."""
    secured = sender._socket
    assert isinstance(secured, ssl.SSLSocket)
    der = secured.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der).serial_number
