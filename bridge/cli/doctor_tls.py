"""What ``bridge doctor`` says of certificates: those of listeners, and those for calls of APIs."""

from __future__ import annotations

import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cryptography import x509

from bridge.cli.doctor import Finding, Grade
from bridge.config.tls_clients import tls_clients
from bridge.config.topology import Topology
from bridge.errors import BridgeError
from bridge.tls.certificates import SHORTLY_S, UNREADABLE, certificates_in, read_file, shown
from bridge.tls.client import Tls, context_or_why, ends_of
from bridge.tls.listener import ListenerTls
from bridge.tls.names import names_of
from bridge.transports.mllp_tls import make_context
from bridge.units import SecretRef

DAY_S = 86400.0


def findings(topology: Topology, secrets: Callable[[SecretRef], str]) -> Iterator[Finding]:
    """Each file of TLS that channels, APIs, credentials and relays name, and whether it can be used."""
    for name, channel in topology.channels.items():
        tls = getattr(channel.source.options, "tls", None)
        if isinstance(tls, ListenerTls):
            yield from _of_listener(name, tls, secrets)
        for tap in () if channel.legacy is None else channel.legacy.taps:
            if tap.tls is not None:
                yield from _of_listener(f"the tap of {name}/{tap.route}", tap.tls, secrets)
    for client in tls_clients(topology):
        yield from _of_client(client.name, client.tls)


def _of_listener(channel: str, tls: ListenerTls, secrets: Callable[[SecretRef], str]) -> Iterator[Finding]:
    about = f"TLS of {channel}"
    try:
        made = make_context(tls, secrets, time.time())
        leaf, *between = certificates_in(read_file(tls.certificate), tls.certificate)
    except BridgeError as refused:
        yield Finding(about, "bad", str(refused), "`bridge run` refuses to start with it")
        return
    names = _names(leaf)
    yield Finding(
        about,
        "good" if names else "warning",
        f"{shown(leaf)}, named {', '.join(names) or 'nothing'}, {len(between)} between; its key fits",
        "" if names else "senders that check whom they call need a subjectAltName in it",
    )
    for file, ends_s in made.ends_s.items():
        shortly_s = DAY_S if file == "crl" else SHORTLY_S
        soon = "have the next one made now; a new file is taken without a restart"
        yield _ends(f"{file} of {channel}", getattr(tls, file), ends_s, shortly_s, soon)
    if tls.client_ca is None:
        advice = "anybody who can reach the port may send: name client_ca, or at least allow_from"
        yield Finding(f"senders of {channel}", "warning", "no certificate is asked for", advice)


def _of_client(name: str, tls: Tls) -> Iterator[Finding]:
    soon = "have the next one made now; it is taken within a minute, or by `bridge reload`"
    try:
        context_or_why(tls)
        for file, ends_s in ends_of(tls).items():
            about = f"{file} {'of' if file == 'ca' else 'for'} {name}"
            yield _ends(about, getattr(tls, file), ends_s, SHORTLY_S, soon)
        if tls.key is not None:
            yield _rights(f"key for {name}", tls.key)
    except (BridgeError, OSError) as refused:
        yield Finding(f"TLS to {name}", "bad", str(refused), "nothing gets there until this is corrected")


def _ends(about: str, path: Path, ends_s: float, shortly_s: float, soon: str) -> Finding:
    left_s = ends_s - time.time()
    if left_s <= 0:
        return Finding(about, "bad", f"{path} has expired", "have a new one made, and put it there")
    grade: Grade = "good" if left_s >= shortly_s else "warning"
    found = f"{path} ends in {left_s / DAY_S:.0f} days"
    return Finding(about, grade, found, "" if grade == "good" else soon)


def _rights(about: str, path: Path) -> Finding:
    if path.stat().st_mode & (stat.S_IRWXO | stat.S_IWGRP):
        return Finding(about, "bad", f"others can reach {path}", "take that away: chmod 640 or 600")
    return Finding(about, "good", f"{path} is its owner's alone")


def _names(certificate: x509.Certificate) -> tuple[Any, ...]:
    try:
        certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        return names_of(certificate)
    except UNREADABLE:
        return ()
