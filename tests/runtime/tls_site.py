"""A hospital whose senders speak TLS, with its authority and certificates."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from certificates import Made, make
from nodes import Hospital

from bridge.cli.demo import CHANNEL
from bridge.cli.send import Sender
from bridge.config.secrets import Secrets
from bridge.tls.client import Tls, client_context

LISTEN = 'mllp: {listen: "tcp:0:interface=127.0.0.1"}'
WITH_TLS = """mllp:
    listen: "tcp:0:interface=127.0.0.1"
    tls:
      certificate: tls/bridge.pem
      key: secret://file/bridge.key
      client_ca: tls/ca.pem
      peers: ["*.ward.example"]"""


class TlsHospital(Hospital):
    """Files of TLS stand in ``site/tls``, the listener's key in ``site/secrets``."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.site, self.pki = folder / "site", folder / "pki"
        for each in (self.site / "tls", self.site / "secrets", self.pki):
            each.mkdir(parents=True)
        self.ca = make(self.pki, "ca")
        self.renew()
        self.renew_authority(self.ca)
        self.secrets = Secrets(self.site / "secrets", {}).resolve

    def renew(self, days: tuple[float, float] = (-1, 90)) -> Made:
        """Give the listener a new key and certificate, one file after the other."""
        made = make(self.pki, "bridge", self.ca, days=days, fresh=True)
        key = self.site / "secrets" / "bridge.key"
        key.touch(0o600)
        key.write_bytes(made.key_path.read_bytes())
        (self.site / "tls" / "bridge.pem").write_bytes(made.path.read_bytes())
        return made

    def renew_authority(self, *authorities: Made) -> None:
        """Let the senders' certificates be of these authorities."""
        (self.site / "tls" / "ca.pem").write_bytes(b"".join(each.pem for each in authorities))

    def peer(self, name: str, by: Made | None = None) -> Made:
        """A sender's certificate."""
        return make(self.pki, name, by or self.ca, names=(f"{name}.ward.example",), purpose="client")

    def sender(self, shown: Made) -> Sender:
        """A sender that is connected; it blocks, so it belongs into a thread."""
        assert self.node is not None
        context = client_context(Tls(ca=self.ca.path, certificate=shown.path, key=shown.key_path))
        port = self.node.addresses()[CHANNEL]
        return Sender("127.0.0.1", port, wait_s=20, tls=context, server_name="localhost")


def with_tls(text: str) -> str:
    """The channel file, with TLS."""
    assert LISTEN in text
    return text.replace(LISTEN, WITH_TLS)


@asynccontextmanager
async def tls_hospital(folder: Path) -> AsyncIterator[TlsHospital]:
    """A hospital with its node started."""
    made = TlsHospital(folder)
    await made.open(with_tls)
    try:
        await made.start()
        yield made
    finally:
        await made.close()
