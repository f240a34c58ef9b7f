"""What a transport without a port says of who connects to it, and of TLS. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from bridge.tls.client import Exchanges


class Portless:
    """Part of a `Listener` that listens on no port."""

    @property
    def connections(self) -> int:
        """Nobody connects."""
        return 0

    @property
    def certificates_end_s(self) -> Mapping[str, float]:
        """None of TLS."""
        return {}

    @property
    def certificates_not_reloaded(self) -> str:
        """None of TLS."""
        return ""

    def look_at_certificates(self) -> Exchanges:
        """None of TLS."""
        return ()
