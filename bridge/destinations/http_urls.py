"""The URLs that files name: absolute, exact, and in the clear only within this machine. Pure."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from yarl import URL

from bridge.destinations.http_requests import is_safe_path

_VISIBLE: Final = re.compile(r"[!-~]+")


def is_loopback(url: str) -> bool:
    """Whether the URL can only mean this machine."""
    host = urlsplit(url).hostname or ""
    return host in {"localhost", "::1"} or re.fullmatch(r"127\.\d{1,3}\.\d{1,3}\.\d{1,3}", host) is not None


def absolute_url(text: str) -> str:
    """The URL, with scheme and host as the standard writes them, its path as it stands.

    Raises ValueError for anything but https (http within this machine), a host, a port and a path of safe
    characters: no user, query or fragment, no dot segments.

    >>> absolute_url("HTTPS://Idp.Example:443/token/")
    'https://idp.example/token/'
    """
    if not _VISIBLE.fullmatch(text):
        # The standard library would leave line breaks out without a word.
        raise ValueError("expected a URL of visible ASCII, as in https://rcm.example/api/v2")
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("expected a URL with scheme and host, as in https://rcm.example/api/v2")
    if "@" in parts.netloc or "?" in text or "#" in text:
        raise ValueError("this URL has no user, no query and no fragment")
    path = parts.path.rstrip("/")
    if path and not is_safe_path(path):
        raise ValueError("the path has characters or dot segments that cannot stand in this URL")
    if parts.scheme == "http" and not is_loopback(text):
        raise ValueError("http:// is read in the clear on its way: expected https:// but for this machine")
    try:
        origin = URL(f"{parts.scheme}://{parts.netloc}").origin()
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("expected a host, and a port from 1 to 65535 where there is one")
    return f"{origin}{parts.path}"
