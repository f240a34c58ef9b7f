"""Target guard: a call goes to an address of its target's own, and to no other (server-side request forgery).

Host, port and path come from the API's file alone. What its name stands for is looked up, looked at, and
then called by address, so that a second answer of the name server changes nothing. A name never leads to this
machine, to a link's own addresses (where clouds keep their credentials), to many machines, or to none.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from bridge.component import Component, Options

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
NETWORKS_MAX_COUNT: Final = 64


def _network(text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError:
        raise ValueError("expected addresses as in 10.20.0.0/16 or 2001:db8::/48") from None


class NetworkOptions(Options):
    """Where the target may be."""

    addresses: tuple[Annotated[str, AfterValidator(_network)], ...] = Field(
        (),
        max_length=NETWORKS_MAX_COUNT,
        description="The addresses that its name may stand for, as in [10.20.0.0/16]; left out, any but "
        "those of this machine, of a link, of a group, and reserved ones.",
    )

    def permits(self) -> Callable[[str, str], bool]:
        """Whether a host may be called at an address; both as text."""
        networks = tuple(ip_network(each) for each in self.addresses)

        def permitted(host: str, address: str) -> bool:
            return is_permitted(host, address, networks)

        return permitted


def is_permitted(host: str, address: str, networks: tuple[Network, ...] = ()) -> bool:
    """Whether the address is one that this host may have.

    >>> is_permitted("erp.example", "10.1.2.3"), is_permitted("erp.example", "169.254.169.254")
    (True, False)
    >>> is_permitted("127.0.0.1", "127.0.0.1"), is_permitted("erp.example", "127.0.0.1")
    (True, False)
    """
    try:
        found = _plain(ip_address(address.partition("%")[0]))
    except ValueError:
        return False
    if networks:
        return any(found.version == each.version and found in each for each in networks)
    if found.is_loopback:
        return is_this_machine(host)
    return not (found.is_link_local or found.is_multicast or found.is_unspecified or found.is_reserved)


def _plain(address: Address) -> Address:
    """An address behind one that only wraps it (RFC 4291 §2.5.5.2)."""
    inner = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if inner is None else inner


def is_this_machine(host: str) -> bool:
    """Whether a host can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


COMPONENT = Component(
    kind="policy",
    name="target_guard",
    summary="A call goes to an address of its target's own, looked at before anything is sent.",
    options=NetworkOptions,
    example="addresses: [10.20.0.0/16]\n",
    marker="network",
)
