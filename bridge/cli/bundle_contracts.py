"""What the contracts of a bundle say otherwise than those before: whether that breaks who calls by these."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import click

from bridge.cli import output as out
from bridge.cli.bundling import Gathered
from bridge.config.approval_files import content_of
from bridge.config.areas import CONTRACTS
from bridge.config.topology import Api
from bridge.config.yaml_tree import read_tree_bytes
from bridge.contracts.changes import Change, changes
from bridge.contracts.contract import unkept
from bridge.contracts.documents import ContractRefused
from bridge.contracts.openapi import read_openapi
from bridge.contracts.options import ContractOptions
from bridge.located import Mapping, Scalar

CHANGES_MAX: Final = 40
"""So many are shown of one contract; what breaks stands first."""
_BESIDE: Final = "channels/"


@dataclass(frozen=True, slots=True)
class Compared:
    """The contract of some APIs held against the one before; ``why_not`` says why it could not be."""

    apis: tuple[str, ...]
    before: str
    now: str
    changes: tuple[Change, ...] = ()
    why_not: str = ""

    @property
    def breaking(self) -> int:
        """How many of the changes break who calls by the older one."""
        return sum(each.severity == "breaking" for each in self.changes)

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        told = [
            {
                "code": each.code,
                "severity": each.severity,
                "operation": each.operation,
                "place": each.place,
                "words": each.words,
            }
            for each in self.changes
        ]
        whose = {"apis": list(self.apis), "before": self.before, "now": self.now}
        return {**whose, "breaking": self.breaking, "changes": told, "not_compared": self.why_not}


def contracts_of(found: Gathered) -> tuple[Compared, ...]:
    """Each contract that is not what it was before, with the APIs that have it."""
    if found.topology is None or found.base is None:
        return ()
    of: dict[tuple[str, str], list[Api]] = {}
    for name, api in found.topology.apis.items():
        now = _named(api)
        path = found.topology.paths[("api", name)]
        if now is None or path not in found.base.files:
            continue
        before = _named_before(found, path)
        if (before, found.base.files.get(before)) != (now, found.bundle.files.get(now)):
            of.setdefault((before, now), []).append(api)
    return tuple(_compared(found, before, now, apis) for (before, now), apis in of.items())


def _named(api: Api) -> str | None:
    """The path of the document that an API's contract is; None where it has none, or schemas alone."""
    for each in api.policies:
        if isinstance(each.options, ContractOptions) and each.options.openapi is not None:
            return f"{_BESIDE}{each.options.openapi}"
    return None


def _named_before(found: Gathered, path: str) -> str:
    """The document that an API's file named before; empty where it named none, or is not kept."""
    assert found.base is not None
    content = content_of(found.directory, found.base.files[path])
    tree = None if content is None else read_tree_bytes(content, path)[0]
    node = tree.get("contract") if isinstance(tree, Mapping) else None
    named = node.get("openapi") if isinstance(node, Mapping) else None
    return f"{_BESIDE}{named.text}" if isinstance(named, Scalar) else ""


def _compared(found: Gathered, before: str, now: str, apis: list[Api]) -> Compared:
    assert found.base is not None
    names = tuple(sorted(each.name for each in apis))
    if not before:
        return Compared(names, "", now, why_not="there was none before")
    content = content_of(found.directory, found.base.files.get(before, ""))
    if content is None:
        return Compared(names, before, now, why_not="as it was before is not kept in approvals/files/")
    contract = apis[0].contract
    assert contract is not None, "it has options"
    try:
        older, newer = read_openapi(unkept(content)), read_openapi(unkept(contract.content))
        return Compared(names, before, now, tuple(changes(older, newer)))
    except ContractRefused as refused:
        return Compared(names, before, now, why_not=str(refused))


def print_contracts(compared: tuple[Compared, ...]) -> None:
    """For a person."""
    for each in compared:
        for line in _lines(each):
            click.echo(line)


def _lines(each: Compared) -> Iterator[str]:
    now, before = each.now.removeprefix(CONTRACTS), each.before.removeprefix(CONTRACTS)
    which = now if before in ("", now) else f"{before} → {now}"
    what = each.why_not or f"{out.count(len(each.changes), 'change')}, of which {each.breaking} break"
    yield f"contract: {which} of {', '.join(each.apis)}: {what}"
    for change in each.changes[:CHANGES_MAX]:
        mark = "breaks" if change.severity == "breaking" else "fits  "
        yield f"  {mark}  {change}  [{change.code}]"
    if len(each.changes) > CHANGES_MAX:
        yield f"  and {len(each.changes) - CHANGES_MAX} more: `bridge apis diff` of both documents shows them"
