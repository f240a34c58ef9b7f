"""A bare MLLP echo on Twisted: ``python -m bridge.cli.echo``. The limit that measurements are held against.

It finds the blocks and answers AA, and stores, maps and sends nothing. Its first line is its port.
"""

from __future__ import annotations

import click
from twisted.internet.protocol import Factory, Protocol

from bridge.cli.reactor import install
from bridge.formats.hl7v2_ack import AckCode, acknowledge, peek
from bridge.formats.mllp_framing import Block, MllpFraming, frame

BLOCK_MAX_BYTES = 16 * 1024**2


class _Echo(Protocol):
    def connectionMade(self) -> None:  # noqa: N802 - Twisted's name
        self._framing = MllpFraming(BLOCK_MAX_BYTES)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        assert self.transport is not None
        for event in self._framing.feed(data):
            if isinstance(event, Block):
                answer = acknowledge(peek(event.body), AckCode.AA, control_id="1", at_us=0)
                self.transport.write(frame(answer))


@click.command()
def main() -> None:
    """Answer AA to everything until told to stop."""
    reactor = install()
    port = reactor.listenTCP(0, Factory.forProtocol(_Echo), interface="127.0.0.1")
    click.echo(str(port.getHost().port))
    reactor.run()


if __name__ == "__main__":
    main()
