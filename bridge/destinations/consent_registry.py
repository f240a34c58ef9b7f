"""A registry that is asked for a patient's consents: a GET of a FHIR server, or of what answers like one.

The target is looked at as that of every call is; no redirect is followed, and the answer is bounded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import quote

from yarl import URL

from bridge.destinations.base import NoAnswer, Permits, Secrets, usable_secret
from bridge.destinations.http_failures import CallFailed
from bridge.destinations.http_session import Session
from bridge.tls.client import Tls
from bridge.units import SecretRef

ANSWER_MAX_BYTES: Final = 1024 * 1024
_NOBODY: Final = b"[]"


class ConsentRegistry:
    """One registry. ``url`` holds ``{patient}``; it is asked with a bearer token where there is one."""

    def __init__(
        self,
        url: str,
        token: SecretRef | None,
        ca: Path | None,
        timeout_s: float,
        secrets: Secrets,
        permits: Permits | None,
    ) -> None:
        self._url, self._token, self._timeout_s = url, token, timeout_s
        self._secrets, self._permits = secrets, permits
        self._tls = Tls.model_validate({} if ca is None else {"ca": ca})
        self._session: Session | None = None

    async def ask(self, patient: str) -> bytes:
        """What it says of a patient, within twice its timeout. Raises NoAnswer."""
        url = URL(self._url.replace("{patient}", quote(patient, safe="")), encoded=True)
        headers = {"Accept": "application/fhir+json, application/json"}
        if self._token is not None:
            if (secret := usable_secret(self._secrets, self._token)) is None:
                raise NoAnswer("secret-unavailable")
            headers["Authorization"] = f"Bearer {secret}"
        try:
            if self._session is None or self._session.is_stale():
                self._session = Session(self._url, self._tls, self._permits)
            await self._session.find_target(self._timeout_s)
            response = await self._session.call(
                "GET",
                url.raw_path_qs,
                headers,
                None,
                connect_s=self._timeout_s,
                total_s=self._timeout_s,
                body_max_bytes=ANSWER_MAX_BYTES,
            )
        except (CallFailed, OSError, ValueError) as error:
            raise NoAnswer(type(error).__name__) from error
        if response.status in (404, 410):
            return _NOBODY
        if response.status != 200 or len(response.body) > ANSWER_MAX_BYTES:
            raise NoAnswer(f"status-{response.status}")
        return response.body

    async def close(self) -> None:
        """Let go of all connections."""
        if self._session is not None:
            await self._session.close()
