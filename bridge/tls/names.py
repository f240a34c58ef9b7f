"""Who a certificate says that its holder is, and whether a list allows that name."""

from __future__ import annotations

import re
from collections.abc import Iterable

from cryptography import x509
from cryptography.x509.oid import NameOID

NAME_MAX_CHARACTERS = 255
NAMES_MAX_COUNT = 100
"""A certificate with more names than this has none that counts."""
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_DNS = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+")


def peer_name(text: str) -> str:
    """A name as a file may write it. Raises ValueError where it could never be that of a certificate.

    >>> peer_name("*.Lab.example")
    '*.lab.example'
    """
    if len(text) > NAME_MAX_CHARACTERS:
        raise ValueError(f"expected at most {NAME_MAX_CHARACTERS} characters")
    if _URI.fullmatch(text):
        return text
    if not _DNS.fullmatch(text):
        raise ValueError("expected a DNS name, lab.example or *.lab.example, or a URI, urn:site:lab")
    return text.lower()


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """DNS names and URIs of the subjectAltName; the common name only where there is no such extension.

    What could not stand in a list of peers, a wildcard or a name with unprintable characters, is no name of
    anybody. Raises ValueError, and errors of `x509`, where the extension cannot be read.
    """
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        found = [
            str(attribute.value)
            for attribute in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        ]
        # With several of them it is anybody's guess which one counts.
        return tuple(_usable(found)) if len(found) == 1 else ()
    return tuple(
        _usable(
            [
                *extension.get_values_for_type(x509.DNSName),
                *extension.get_values_for_type(x509.UniformResourceIdentifier),
            ]
        )
    )


def allowed_name(names: Iterable[str], peers: Iterable[str]) -> str | None:
    """The first of ``names`` that one of ``peers`` allows: exactly, or by ``*.`` in place of one label.

    >>> allowed_name(["a.lab.example"], ["*.lab.example"])
    'a.lab.example'
    >>> allowed_name(["a.b.lab.example", "lab.example"], ["*.lab.example"])
    """
    exact = frozenset(peers)
    for name in names:
        label, dot, rest = name.partition(".")
        if name in exact or (dot and label and ":" not in label and f"*.{rest}" in exact):
            return name
    return None


def _usable(found: list[str]) -> list[str]:
    if len(found) > NAMES_MAX_COUNT:
        return []
    usable = []
    for each in found:
        try:
            name = peer_name(each)
        except ValueError:
            continue
        if not name.startswith("*"):
            usable.append(name)
    return usable
