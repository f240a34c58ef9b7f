"""The names of everything that a trace says, in one place; none of them holds what a message says.

After OpenTelemetry's conventions for messaging and HTTP where these have a name for it.
"""

from __future__ import annotations

from typing import Final

SERVICE_NAME: Final = "service.name"
SERVICE_VERSION: Final = "service.version"
SERVICE_INSTANCE: Final = "service.instance.id"
SYSTEM: Final = "messaging.system"
DESTINATION: Final = "messaging.destination.name"
STATUS: Final = "http.response.status_code"
ERROR: Final = "error.type"

MESSAGE: Final = "bridge.message"
CHANNEL: Final = "bridge.channel"
STATE: Final = "bridge.state"
REASON: Final = "bridge.reason"
ROUTE: Final = "bridge.route"
API: Final = "bridge.api"
OPERATION: Final = "bridge.operation"
DELIVERY: Final = "bridge.delivery"
ATTEMPT: Final = "bridge.attempt"
VERDICT: Final = "bridge.verdict"
REPLAY_OF: Final = "bridge.replay_of"
FILE: Final = "bridge.file"
