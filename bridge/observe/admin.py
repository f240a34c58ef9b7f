"""The admin port: ``/healthz``, ``/readyz`` and ``/metrics``, on loopback."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from prometheus_client import CONTENT_TYPE_LATEST

from bridge.transports.http_port import BoundedRequest, HttpLimits, HttpPort

LIMITS: Final = HttpLimits(body_max_bytes=1024, connections_max_count=64, idle_max_s=30.0, arrive_max_s=10.0)
"""Who asks sends a few lines. A body is of no use here; a small one is let pass."""
TEXT: Final = "text/plain; charset=utf-8"
Page = Callable[[], tuple[int, bytes]]


class _Asked(BoundedRequest):
    """One request for a page."""

    def too_large(self) -> None:
        """No page needs it."""
        self.refuse()
        self._tell(413, f"A body of at most {LIMITS.body_max_bytes} bytes is taken here: send none.")

    def arrived(self) -> None:
        """Show the page."""
        port: _Pages = self.channel.factory
        # What was asked for is not repeated: it is somebody else's text.
        page = port.pages.get(self.path.removesuffix(b"/"))
        if page is None:
            self._tell(404, f"There is no such page: ask for {b', '.join(port.pages).decode()}.")
        elif self.method not in (b"GET", b"HEAD"):
            self._tell(405, "A page is only looked at: ask with GET or HEAD.", allow="GET, HEAD")
        else:
            kind, render = page
            status, body = render()
            self._show(status, kind, body)

    def _tell(self, status: int, words: str, **headers: str) -> None:
        self._show(status, TEXT, f"{words}\n".encode(), **headers)

    def _show(self, status: int, kind: str, body: bytes, **headers: str) -> None:
        self.say(status, body, {"content-type": kind, "cache-control": "no-store", **headers})


class _Pages(HttpPort):
    """The pages by their paths, each with what it is of."""

    def __init__(self, pages: Mapping[bytes, tuple[str, Page]], reactor: Any) -> None:
        super().__init__(LIMITS, _Asked, reactor=reactor)
        self.pages = pages


def site(unready: Callable[[], list[str]], exposition: Callable[[], bytes], reactor: Any) -> HttpPort:
    """The pages. ``unready`` names what keeps a whole node from taking messages; empty when nothing does."""

    def readyz() -> tuple[int, bytes]:
        reasons = unready()
        return (503, ("\n".join(reasons) + "\n").encode()) if reasons else (200, b"ready\n")

    return _Pages(
        {
            b"/healthz": (TEXT, lambda: (200, b"alive\n")),
            b"/readyz": (TEXT, readyz),
            b"/metrics": (CONTENT_TYPE_LATEST, lambda: (200, exposition())),
        },
        reactor,
    )
