"""A port that nobody listens on, for a moment at least."""

from __future__ import annotations

import socket


def free_port() -> int:
    """A free port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
