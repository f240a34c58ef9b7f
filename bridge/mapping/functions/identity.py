"""Functions that make keys: from business identifiers alone, so that a replay finds the same record again.

Where a part is missing, so is the key: half a key is the key of somebody else.
"""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Final

from bridge.canonical.keys import key_of
from bridge.formats.hl7v2 import NULL
from bridge.mapping.signature import Checked
from bridge.mapping.values import Value

_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
HASH_CHARACTERS: Final = 32


def key(*parts: Value) -> str | None:
    """A key of several parts, with colons between them; a colon inside of a part is written `%3A`.

    So other parts never give the same key. Absent where a part is missing.

    >>> key("NORTH", "100:7"), key("NORTH", None)
    ('NORTH:100%3A7', None)
    """
    texts = _texts(parts)
    return None if texts is None else key_of(*texts)


def hash_id(*parts: Value) -> str | None:
    """A key of 32 characters from several parts, for rows that have no number of their own. One way only.

    Absent where a part is missing.

    >>> hash_id("A-1", "20240102", "99284")
    'aef70b2646c8300b81ce5c2868c4f066'
    """
    texts = _texts(parts)
    if texts is None:
        return None
    return hashlib.sha256(key_of(*texts).encode()).hexdigest()[:HASH_CHARACTERS]


def uuid_mistake(namespace: str) -> str | None:
    """What is wrong with a namespace, or None.

    >>> uuid_mistake("clinic")
    'a namespace is a UUID in small letters'
    """
    return None if _UUID.fullmatch(namespace) else "a namespace is a UUID in small letters"


Namespace = Annotated[str, Checked(uuid_mistake)]


def uuid5(namespace: Namespace, *parts: Value) -> str | None:
    """A name-based UUID (RFC 9562 §5.5) of several parts in a namespace. Absent where a part is missing.

    >>> uuid5("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "www.example.com")
    '2ed6657d-e927-568b-95e1-2665a8aea6a2'
    """
    texts = _texts(parts)
    if texts is None:
        return None
    name = bytes.fromhex(namespace.replace("-", "")) + key_of(*texts).encode()
    digest = bytearray(hashlib.sha1(name, usedforsecurity=False).digest()[:16])
    digest[6] = (digest[6] & 0x0F) | 0x50
    digest[8] = (digest[8] & 0x3F) | 0x80
    written = digest.hex()
    return "-".join((written[:8], written[8:12], written[12:16], written[16:20], written[20:]))


def identifier_system(namespace: str, universal: Value = None, kind: Value = None) -> str:
    """Who gave a number, of the parts of HD (CX.4): the universal ID where there is one, else the namespace.

    >>> identifier_system("NORTH", "1.2.3", "ISO"), identifier_system("NORTH")
    ('urn:oid:1.2.3', 'NORTH')
    """
    if not isinstance(universal, str):
        return namespace
    prefix = {"ISO": "urn:oid:", "UUID": "urn:uuid:", "GUID": "urn:uuid:"}
    return prefix.get(kind.upper() if isinstance(kind, str) else "", "") + universal


def _texts(parts: tuple[Value, ...]) -> list[str] | None:
    texts = [str(part) for part in parts if part is not None and part is not NULL and part not in ("", [])]
    return texts if len(texts) == len(parts) and texts else None
