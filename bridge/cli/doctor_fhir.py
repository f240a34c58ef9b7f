"""What `bridge doctor` finds about FHIR servers: whether they are there, and what they do not say they can.

The CapabilityStatement is read at ``metadata``, without a credential, as FHIR R4 (http.html §3.1.0.6) has it.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from bridge.config.topology import Api, Topology
from bridge.fhir.capability import Need, merges, missing, statement_of, version_of
from bridge.fhir.digits import read_json
from bridge.mapping.json_block import JsonBlock
from bridge.tls.client import client_context

if TYPE_CHECKING:
    from bridge.cli.doctor import Finding

STATEMENT_MAX_BYTES: Final = 16_777_216
_SHOWN_MAX: Final = 6


def findings(topology: Topology) -> Iterator[Finding]:
    """One for each FHIR server: what it is, what of what is needed it does not say that it can."""
    from bridge.cli.doctor import Finding

    for api in topology.apis.values():
        if (url := getattr(api.destination.options, "fhir", None)) is None:
            continue
        about = f"FHIR server of {api.name}"
        try:
            statement = statement_of(read_json(_metadata(url, api.destination.options)))
        except (OSError, ValueError, http.client.HTTPException) as error:
            words = getattr(error, "strerror", None) or type(error).__name__
            yield Finding(about, "bad", f"{url}/metadata cannot be read: {words}", _ADVICE)
            continue
        if statement is None:
            yield Finding(about, "bad", f"{url}/metadata is no CapabilityStatement", _ADVICE)
            continue
        needs, transactions = list(_needs(api)), _transactions(api)
        lacking = missing(statement, needs, transactions=transactions)
        by_link = any(each.interaction == "amend" for each in needs) and merges(statement)
        note = "" if not by_link else "; it has Patient/$merge, for `interaction: merge`"
        if not lacking:
            yield Finding(about, "good", f"FHIR {version_of(statement)}, with all that is needed{note}")
            continue
        shown = "; ".join(lacking[:_SHOWN_MAX]) + ("; ..." if len(lacking) > _SHOWN_MAX else "")
        advice = "ask whether it can all the same, or change the interactions of the API's file"
        yield Finding(about, "warning", f"it does not say that it has: {shown}", advice)


_ADVICE: Final = "see that the base URL is right, and that the server answers at metadata"


def _metadata(url: str, options: Any) -> bytes:
    """The bytes at ``metadata``. Raises OSError, ValueError or HTTPException where there are none."""
    parts = urlsplit(url)
    host, timeout_s = parts.hostname or "", options.timeouts.request
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context: ssl.SSLContext = client_context(options.tls)
        connection = http.client.HTTPSConnection(host, parts.port, timeout=timeout_s, context=context)
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=timeout_s)
    try:
        connection.request("GET", f"{parts.path}/metadata", headers={"Accept": "application/fhir+json"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise ValueError(f"it answered {answer.status}")
        return answer.read(STATEMENT_MAX_BYTES)
    finally:
        connection.close()


def _transactions(api: Api) -> bool:
    return getattr(api.destination.options, "transactions", "needed") != "never"


def _needs(api: Api) -> Iterator[Need]:
    for name, operation in api.operations.items():
        plan = api.bodies.get(name)
        if plan is None:
            continue
        interaction = str(getattr(operation, "interaction", ""))
        beside = getattr(operation, "beside", {})
        for at, kind in enumerate(_types(plan.program.blocks)):
            if at == 0 or interaction == "merge":
                yield Need(kind, interaction)
            else:
                yield Need(kind, beside.get(kind, "create"))


def _types(blocks: Any) -> Iterator[str]:
    for block in blocks:
        for step in block.all_steps if isinstance(block, JsonBlock) else ():
            if step.name == "resourceType" and step.rule.const is not None:
                yield step.rule.const
