"""The old engine as a peer over MLLP: one block at a time, and its own answer."""

from __future__ import annotations

from typing import Any

from bridge.formats.hl7v2_ack import peek
from bridge.formats.hl7v2_answer import read_answer
from bridge.migration.relay.tls import tls_to
from bridge.tls.client import Tls
from bridge.transports.mllp_addresses import split_address
from bridge.transports.mllp_client import MllpClient, connect

CONNECT_MAX_S = 5.0
ANSWER_MAX_BYTES = 16 * 1024**2
"""Responses to queries may be as large as messages are."""


class MllpPeer:
    """One connection to ``tcp:HOST:PORT``, made when there is something to say; over TLS where ``tls``
    says."""

    def __init__(self, address: str, reactor: Any, tls: Tls | None = None) -> None:
        self._tls = tls
        self._host, self._port = split_address(address)
        self._reactor = reactor
        self._client: MllpClient | None = None
        self._asking = False

    @property
    def asking(self) -> bool:
        """Whether an answer is awaited."""
        return self._asking

    async def ask(self, block: bytes, within_s: float) -> tuple[str, bytes]:
        """Send a block as it is; the code of its answer, empty where it has none, and the answer.

        Raises PeerUnavailable where nobody takes it, and its subclass PeerSilent where no answer came.
        """
        control_id = peek(block).control_id

        def matches(answer: bytes) -> bool:
            read = read_answer(answer)
            return read is None or not control_id or read.control_id == control_id

        self._asking = True
        try:
            if self._client is None or not self._client.connected:
                over = None if self._tls is None else tls_to(self._host, self._tls)
                client = await connect(
                    self._reactor, self._host, self._port, within_s=CONNECT_MAX_S, over=over
                )
                client.allow(ANSWER_MAX_BYTES)
                self._client = client
            answer = await self._client.ask(block, matches, within_s=within_s, reactor=self._reactor)
        finally:
            self._asking = False
        read = read_answer(answer)
        return ("" if read is None else read.code), answer

    def hang_up(self) -> None:
        """Close at once."""
        if self._client is not None:
            self._client.hang_up()
