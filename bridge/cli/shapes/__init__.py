"""What each command says with ``--format json``: models, and the JSON Schemas that are made from them.

A schema says which names are there and what they hold. Later versions may add names, and take none away;
who reads the output ignores names that it does not know.
"""

from __future__ import annotations

from typing import Any, Final

from bridge.cli.shapes import accounts, files, journal, machine, mappings, site

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"

SHAPES: Final[dict[str, Any]] = {
    "check": files.Checked,
    "parse": files.ReadFiles | list[files.ReadMessage | files.ReadEdiMessage],
    "compare": files.Compared,
    "migrate assess": machine.Assessed,
    "migrate import": machine.Imported,
    "map coverage": mappings.Coverage,
    "map docs": mappings.Sheet,
    "map impact": mappings.Impact,
    "map test": mappings.Tested,
    "map try": list[mappings.Tried],
    "messages": list[journal.ListedMessage],
    "tail": journal.ListedMessage,
    "show": journal.Story,
    "status": journal.Status,
    "apis": site.Apis,
    "apis accept": site.Accepted,
    "apis diff": list[site.ContractChange],
    "apis drift": list[site.Drift],
    "apis lint": list[site.LintFinding] | list[site.LintRule],
    "apis sunset": list[site.Ending],
    "trace": list[journal.Traced],
    "why": list[journal.Why],
    "quarantine list": list[journal.Quarantined],
    "quarantine summary": list[journal.QuarantinedFor],
    "quarantine show": journal.Story,
    "codes list": list[journal.UnmappedCode],
    "files check": list[files.LookedThrough],
    "files list": list[accounts.TakenFile],
    "files take": accounts.Done,
    "files discard": accounts.Done,
    "files settle": accounts.Done,
    "batches": list[accounts.Batch] | accounts.SentBatches,
    "reconcile": accounts.Reconciled | accounts.MatchedReport,
    "replay": accounts.Replayed,
    "events tail": site.FollowedEvent,
    "events types": list[accounts.EventType],
    "reload": site.Reloaded,
    "bundle": site.Bundle,
    "bundle list": list[site.ListedBundle],
    "evidence verify": site.Evidence,
    "stage": list[site.Stage] | site.Moved,
    "parity show": list[site.RouteParity],
    "consent": accounts.Consents | list[accounts.ConsentOverride],
    "legal-hold list": list[accounts.LegalHold],
    "disclosures": list[accounts.Disclosed] | list[accounts.DisclosedPatient],
    "journal keys list": site.Keys,
    "journal verify": site.History,
    "journal verify-backup": site.Backup,
    "audit complete": site.Complete,
    "audit search": list[site.Entry],
    "audit verify": site.Verified,
    "explain": list[mappings.Meaning] | mappings.Explained | dict[str, list[str]],
    "records": list[mappings.RecordType] | mappings.RecordType,
    "deidentify": mappings.Deidentified,
    "doctor": list[machine.Finding],
    "bench": machine.Measured | machine.MeasuredAudit,
}
"""Each command that has ``--format json``, with the shape of what it prints."""

LINE_BY_LINE: Final = frozenset({"tail", "events tail"})
"""These print one such value a line, for as long as they run."""


def schema_of(command: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of what a command prints. Raises KeyError for one that has no JSON."""
    from pydantic import TypeAdapter

    schema = TypeAdapter(SHAPES[command]).json_schema()
    each = ", of each line" if command in LINE_BY_LINE else ""
    return {"$schema": DRAFT, "title": f"bridge {command} --format json{each}", **_plain(schema)}


def _plain(schema: Any) -> Any:
    """Without the titles of properties, which only repeat their names."""
    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: {each: _plain(its) for each, its in value.items()}
        if name in ("properties", "$defs")
        else _plain(value)
        for name, value in schema.items()
        if not (name == "title" and isinstance(value, str))
    }
