"""Addresses as a channel file writes them: where to listen, who may connect, where a sender listens."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import AfterValidator


def _listen(value: str) -> str:
    kind, _, rest = value.partition(":")
    port = rest.partition(":")[0]
    if kind not in ("tcp", "tcp6") or not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise ValueError("expected an endpoint, tcp:PORT or tcp:PORT:interface=ADDRESS")
    return value


def _network(value: str) -> str:
    try:
        ipaddress.ip_network(value)
    except ValueError:
        raise ValueError("expected an address or a network, as in 10.1.0.0/16") from None
    return value


def split_address(value: str) -> tuple[str, int]:
    """Host and port of ``tcp:HOST:PORT``. Raises ValueError for anything else.

    >>> split_address("tcp:lab.example:2576"), split_address("tcp:[::1]:2576")
    (('lab.example', 2576), ('::1', 2576))
    """
    kind, _, rest = value.partition(":")
    host, _, port = rest.rpartition(":")
    if kind != "tcp" or not host.strip("[]") or not (port.isascii() and port.isdecimal()):
        raise ValueError("expected where the sender listens, tcp:HOST:PORT")
    if not 0 < int(port) <= 65535:
        raise ValueError("expected a port from 1 to 65535 in tcp:HOST:PORT")
    return host.strip("[]"), int(port)


def _address(value: str) -> str:
    split_address(value)
    return value


ListenerAddress = Annotated[str, AfterValidator(_address)]
ListenAddress = Annotated[str, AfterValidator(_listen)]
Network = Annotated[str, AfterValidator(_network)]
