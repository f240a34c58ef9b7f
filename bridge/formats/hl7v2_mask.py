"""A message with nothing left of what it says about anybody, and all of its shape. Pure.

Letters become x or X, digits 9, bytes outside ASCII x; separators, lengths, line ends, segment names and the
standard's escape sequences stay, and so does MSH, which says what the message is and whose. A site that puts
personal data into MSH must not show it even so.
"""

from __future__ import annotations

import re
from typing import Final

_BLANKED: Final = bytes(
    ord("x") if byte >= 0x80 or chr(byte).islower()
    else ord("X") if chr(byte).isupper()
    else ord("9") if chr(byte).isdigit()
    else byte
    for byte in range(256)
)  # fmt: skip
_KEPT: Final = re.compile(
    rb"(?:(?<=[\r\n])|\A)(?:MSH(?=[^A-Za-z0-9\s])[^\r\n]*|[A-Z][A-Z0-9]{2}(?=[^A-Za-z0-9\s\\]))"
    rb"|\\(?:[FSTRE]|\.br|\.sp\d{0,2})\\"
)


def masked(body: bytes) -> bytes:
    """The message, byte for byte as long, with its content blanked out; bytes that hold no MSH wholly.

    >>> masked(b"MSH|^~\\\\&|EHR\\rPID|1||100234^^^NORTH||Marlow^In\\xe9s\\r")
    b'MSH|^~\\\\&|EHR\\rPID|9||999999^^^XXXXX||Xxxxxx^Xxxx\\r'
    """
    if not body.lstrip(b"\x0b\x1c\0 \t\r\n\xef\xbb\xbf").startswith(b"MSH"):
        return body.translate(_BLANKED)
    made = bytearray()
    end = 0
    for kept in _KEPT.finditer(body):
        made += body[end : kept.start()].translate(_BLANKED)
        made += kept.group()
        end = kept.end()
    return bytes(made + body[end:].translate(_BLANKED))
