"""A node whose API of patients has a contract, and that API, which may be changed while it runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
from command_line import Ended, bridge_process
from databases import journal_url
from nodes import Hospital
from twisted.internet.threads import deferToThread

PATIENT: dict[str, Any] = {
    "type": "object",
    "required": ["key", "family"],
    "properties": {
        name: {"type": "string"}
        for name in ("key", "family", "given", "birth_date", "sex", "line1", "city", "state", "postal_code")
    }
    | {"identifiers": {"type": "array"}},
}
ANSWER: dict[str, Any] = {
    "type": "object",
    "required": ["applied"],
    "properties": {"applied": {"type": "integer"}},
}


def document(
    patient: dict[str, Any] | None = None, answer: dict[str, Any] | None = None, version: str = "1.0.0"
) -> dict[str, Any]:
    """The contract of the API of patients."""

    def call(schema: dict[str, Any]) -> dict[str, Any]:
        said = {"description": "done", "content": {"application/json": {"schema": answer or ANSWER}}}
        return {
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
            "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
            "responses": {"200": said},
        }

    return {
        "openapi": "3.1.0",
        "info": {"title": "EHR", "version": version},
        "paths": {
            "/patients/{id}": {"put": call(patient or PATIENT)},
            "/patients/{id}/merge": {"post": call({"type": "object"})},
        },
    }


def write_contract(site: Path, value: dict[str, Any], more: str = "") -> None:
    """Put a contract into a site, and name it in the file of ehr.patients."""
    folder = site / "channels" / "contracts"
    folder.mkdir(exist_ok=True)
    (folder / "ehr.json").write_bytes(orjson.dumps(value))
    api = site / "channels" / "apis" / "ehr.patients.yaml"
    text = api.read_text().partition("contract:")[0]
    api.write_text(f"{text}contract: {{openapi: contracts/ehr.json{more}}}\n")


@asynccontextmanager
async def contracted(
    folder: Path,
    value: dict[str, Any] | None = None,
    more: str = "",
    *,
    before: Callable[[Hospital], None] = lambda _: None,
) -> AsyncIterator[Hospital]:
    """A hospital with its node started, whose API of patients has a contract; ``before`` may alter files."""
    made = Hospital(folder)
    await made.open()
    write_contract(folder / "site", value or document(), more)
    before(made)
    try:
        await made.start()
        yield made
    finally:
        await made.close()


async def command(site: Hospital, *arguments: object, status: int = 0) -> str:
    """Run a command as a process of its own; the exit status must be this one."""
    url = journal_url(site.folder)
    ended: Ended = await deferToThread(bridge_process, *arguments, "--journal", url, NO_COLOR="1")
    assert ended.status == status, ended.said
    return ended.said
