"""Functions of documents: digest and size of one that stands in a message, and a text as one."""

from __future__ import annotations

import binascii
import hashlib
from decimal import Decimal
from typing import Final

from bridge.mapping.values import Value, ValueRefused

DOCUMENT_MAX_CHARACTERS: Final = 64 * 1024**2
"""Of a document as it is written; it is beside the limit of texts, since none of it becomes one."""
_TYPES: Final = {
    "text": "text",
    "tx": "text",
    "ft": "text",
    "im": "image",
    "image": "image",
    "audio": "audio",
    "ap": "application",
    "application": "application",
    "video": "video",
    "multipart": "multipart",
    "model": "model",
}
_ALONE: Final = {
    "pdf": "application/pdf",
    "rtf": "application/rtf",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "png": "image/png",
    "tiff": "image/tiff",
    "tif": "image/tiff",
    "gif": "image/gif",
    "html": "text/html",
    "xml": "application/xml",
    "dicom": "application/dicom",
}


def digest(data: str, encoding: str) -> str:
    """The SHA-256 of a document's bytes, written in `A` (as they are), `Hex` or `Base64` (HL7 table 0299).

    >>> digest("aGVsbG8=", "Base64") == digest("hello", "A") == digest("68656C6C6F", "Hex")
    True
    """
    return hashlib.sha256(_bytes(data, encoding)).hexdigest()


def size_bytes(data: str, encoding: str) -> Decimal:
    """How many bytes a document has that is written in `A`, `Hex` or `Base64`.

    >>> size_bytes("aGVsbG8=", "Base64")
    Decimal('5')
    """
    return Decimal(len(_bytes(data, encoding)))


def base64(text: str) -> str:
    """The text's bytes in UTF-8, written in Base64 (RFC 4648 §4), for documents that go inside of JSON.

    >>> base64("hello")
    'aGVsbG8='
    """
    return binascii.b2a_base64(text.encode("utf-8", "surrogatepass"), newline=False).decode("ascii")


def media_type(kind: Value, subtype: Value) -> str | None:
    """The media type of a document from its type and subtype (HL7 tables 0191 and 0291), if they tell it.

    >>> media_type("IM", "JPEG"), media_type("Application", "PDF"), media_type("PDF", None)
    ('image/jpeg', 'application/pdf', 'application/pdf')
    """
    first = kind.strip().lower() if isinstance(kind, str) else ""
    second = subtype.strip().lower() if isinstance(subtype, str) else ""
    if second in _ALONE:
        return _ALONE[second]
    if "/" in first or "/" in second:
        return first if "/" in first else second
    if first in _ALONE:
        return _ALONE[first]
    if first in _TYPES and second:
        return f"{_TYPES[first]}/{second}"
    return None


def _bytes(data: str, encoding: str) -> bytes:
    if len(data) > DOCUMENT_MAX_CHARACTERS:
        raise ValueRefused("R040", f"a document has more than {DOCUMENT_MAX_CHARACTERS} characters")
    try:
        match encoding.strip().lower():
            case "a" | "":
                return data.encode()
            case "base64":
                return binascii.a2b_base64("".join(data.split()), strict_mode=True)
            case "hex":
                return binascii.a2b_hex("".join(data.split()))
    except (binascii.Error, ValueError):
        pass
    raise ValueRefused("R020", "a document is not written in the encoding that it names")
