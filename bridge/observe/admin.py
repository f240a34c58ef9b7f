"""The admin port: ``/healthz``, ``/readyz`` and ``/metrics``, on loopback."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

HEALTHZ, READYZ, METRICS = b"healthz", b"readyz", b"metrics"


class _Page(Resource):
    isLeaf = True

    def __init__(self, content_type: str, render: Callable[[], tuple[int, bytes]]) -> None:
        Resource.__init__(self)
        self._content_type, self._render_page = content_type, render

    def render_GET(self, request: Request) -> bytes:
        status, body = self._render_page()
        request.setResponseCode(status)
        request.setHeader("content-type", self._content_type)
        request.setHeader("cache-control", "no-store")
        return body


def site(unready: Callable[[], list[str]], exposition: Callable[[], bytes]) -> Site:
    """The pages. ``unready`` names what keeps a whole node from taking messages; empty when nothing does."""

    def readyz() -> tuple[int, bytes]:
        reasons = unready()
        return (503, ("\n".join(reasons) + "\n").encode()) if reasons else (200, b"ready\n")

    text = "text/plain; charset=utf-8"
    root = Resource()
    root.putChild(HEALTHZ, _Page(text, lambda: (200, b"alive\n")))
    root.putChild(READYZ, _Page(text, readyz))
    root.putChild(METRICS, _Page(CONTENT_TYPE_LATEST, lambda: (200, exposition())))
    return Site(root, timeout=30)
