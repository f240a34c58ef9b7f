"""Secrets in exports: found, told where they stand, and blanked wherever a script is shown. Never printed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from bridge.migration.mirth.js_lex import SCRIPT_MAX_CHARACTERS
from bridge.migration.mirth.model import Secret
from bridge.migration.mirth.xml_tree import Node

BLANK: Final = "***"
_NAMES: Final = re.compile(
    r"(pass(word|wd|phrase)?|pwd|secret|token|api[_-]?key|apikey|credential|private[_-]?key|keystorepass"
    r"|truststorepass|auth(orization)?[_-]?(key|token|header))$",
    re.IGNORECASE,
)
_ANYWHERE: Final = re.compile(r"pass(word|wd|phrase)|secret|token|api[_-]?key|private[_-]?key", re.IGNORECASE)
_NO_SECRETS: Final = frozenset({"quoteToken", "quoteEscapeToken"})
"""Of delimited text: the characters around values."""
_HARMLESS: Final = frozenset({"", "anonymous", "false", "true", "none", "null", "0", "1"})
_PLACEHOLDER: Final = re.compile(r"\s*\$\{[^}]*\}\s*")
_QUOTED: Final = r"""(?P<quote>["'])(?P<value>(?:\\.|(?!(?P=quote))[^\\\n]){0,500})(?P=quote)"""
# Every repetition has an end, so that no text makes looking through it slow.
_IN_SCRIPTS: Final = (
    (
        "a password or key in a script",
        re.compile(
            r"\b(?P<name>[A-Za-z_$][\w$.]{0,80}?(?:pass(?:word|wd|phrase)?|pwd|secret|token|api_?key))"
            r"(?P<between>[\"']?\]?\s{0,20}(?:=|:|,)\s{0,20})" + _QUOTED,
            re.IGNORECASE,
        ),
    ),
    (
        "credentials in a header",
        re.compile(r"(?P<between>\b(?:Basic|Bearer)\s{1,5})(?P<value>[A-Za-z0-9+/_.=-]{6,4000})"),
    ),
    (
        "a password in an address",
        re.compile(
            r"(?P<between>\b[a-z][a-z0-9+.-]{0,20}://[^\s:/@'\"]{1,200}:)(?P<value>[^\s@/'\"]{1,200})(?=@)",
            re.IGNORECASE,
        ),
    ),
    (
        "a password in a connection's properties",
        re.compile(
            r"(?P<between>[?&;](?:password|pwd|user_?password)=)(?P<value>[^&;'\"\s]{1,500})", re.IGNORECASE
        ),
    ),
)
_CONNECTION: Final = re.compile(
    r"createDatabaseConnection\s{0,20}\((?P<arguments>"
    r"(?:[^()\"']|\"(?:\\.|[^\"\\]){0,500}\"|'(?:\\.|[^'\\]){0,500}'){0,1000})\)"
)
_STRING: Final = re.compile(_QUOTED)
_PEM: Final = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[^-]{1,8000}-----END [A-Z ]{0,30}PRIVATE KEY-----"
)


def secrets_of(root: Node, channel: str) -> list[Secret]:
    """Where secrets stand in a tree: properties by their names, and what scripts and addresses hold."""
    found: list[Secret] = []
    for node in root.every():
        text = node.text
        if not text.strip() or node.children:
            continue
        name = node.attributes.get("name", node.tag) if node.tag == "property" else node.tag
        if node.tag in ("string", "value"):
            name = _key_of(node)
        if name in _NO_SECRETS:
            continue
        if _NAMES.search(name) and text.strip().lower() not in _HARMLESS and not _PLACEHOLDER.fullmatch(text):
            found.append(Secret(channel, node.xpath, f"{name.rpartition('.')[2]} in the properties"))
            continue
        if len(text) > SCRIPT_MAX_CHARACTERS:
            found.append(Secret(channel, node.xpath, "a text that is too long to be looked through"))
            continue
        found += [Secret(channel, node.xpath, what) for what in _kinds_in(text)]
    return found


def is_secret_name(name: str) -> bool:
    """Whether what has this name is probably a secret."""
    return _ANYWHERE.search(name) is not None


def blanked(script: str) -> str:
    """A script with its secrets blanked, so that it can be kept; nothing of one that is too long."""
    if len(script) > SCRIPT_MAX_CHARACTERS:
        return f"(left out: {len(script)} characters)"
    return _swept(script, lambda _: None)


def _kinds_in(text: str) -> list[str]:
    kinds: list[str] = []
    _swept(text, kinds.append)
    return list(dict.fromkeys(kinds))


def _swept(text: str, note: Callable[[str], None]) -> str:
    def connection(match: re.Match[str]) -> str:
        strings = list(_STRING.finditer(match[0]))
        if len(strings) < 4 or not strings[3]["value"]:
            return match[0]
        note("a database's password in a script")
        last = strings[3]
        return match[0][: last.start("value")] + BLANK + match[0][last.end("value") :]

    def key(_: re.Match[str]) -> str:
        note("a private key")
        return BLANK

    text = _CONNECTION.sub(connection, _PEM.sub(key, text))
    for what, pattern in _IN_SCRIPTS:

        def one(match: re.Match[str], what: str = what) -> str:
            value = match["value"]
            if not value or value == BLANK or value.lower() in _HARMLESS or "${" in value:
                return match[0]
            note(what)
            start, end = match.start("value") - match.start(), match.end("value") - match.start()
            return match[0][:start] + BLANK + match[0][end:]

        text = pattern.sub(one, text)
    return text


def _key_of(node: Node) -> str:
    """For a value of a map: the key that stands before it."""
    entry = node.parent
    while entry is not None and entry.tag != "entry":
        entry = entry.parent
    if entry is None or not entry.children or entry.children[0] is node:
        return ""
    return entry.children[0].text.strip()
