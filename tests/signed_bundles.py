"""What tests of approvals share: persons with keys, files, and what is signed about them."""

from __future__ import annotations

import hashlib
from typing import Any

from bridge.approvals.bundle import Bundle
from bridge.approvals.people import People, Person
from bridge.approvals.statements import Does, Statement
from bridge.audit.notes import Signer

HOUR_US = 3600 * 1_000_000
NOW_US = 1_800_000_000_000_000


def signer_of(name: str, key: str = "") -> Signer:
    """A person's private key, the same in each run; ``key`` for another one."""
    return Signer(name, hashlib.sha256((key or name).encode()).digest())


def person(name: str, *groups: str, key: str = "") -> Person:
    return Person(name, signer_of(name, key).verifier.line, groups)


def people(*persons: Person, **changed: Any) -> People:
    found = persons or (
        person("alice", "clinical"),
        person("bob", "clinical"),
        person("carol", "finance"),
        person("dave", "integration", "oncall"),
        person("erin"),
    )
    rules: dict[str, Any] = {
        "otherwise": "integration",
        "groups": {"encounter": "clinical", "patient": "clinical", "claim": "finance"},
        "emergency": frozenset({"oncall"}),
    }
    return People({each.name: each for each in found}, **{**rules, **changed})


def bundle(base: Bundle | None = None, **files: str) -> Bundle:
    """Files by area: each is about the area that it is named by."""
    digests = {
        f"channels/{area}.yaml": hashlib.sha256(content.encode()).hexdigest()
        for area, content in files.items()
    }
    areas = {f"channels/{area}.yaml": (area,) for area in files}
    return Bundle("files", "prod", None if base is None else base.digest, digests, areas)


def said(
    of: Bundle,
    name: str,
    does: Does = "approve",
    *,
    author: str = "alice",
    at_us: int = NOW_US,
    expires_at_us: int | None = None,
    key: str = "",
) -> Statement:
    statement = Statement(of.digest, author, name, does, at_us, expires_at_us, "a reason", "")
    return statement.sign(signer_of(name, key))


def emergency(of: Bundle, name: str, hours: float, **changed: Any) -> Statement:
    at_us = changed.pop("at_us", NOW_US)
    expires = at_us + int(hours * HOUR_US)
    return said(of, name, "emergency", at_us=at_us, expires_at_us=expires, **changed)


def proposed(of: Bundle, author: str = "alice", **changed: Any) -> Statement:
    return said(of, author, "propose", author=author, **changed)
