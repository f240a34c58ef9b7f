"""Secrets in exports: told where they stand, and blanked before anything else reads them.

What is read from an export never holds one that is known by its name or its form, and so no file, report or
converted step can: a step with a blanked value is left to a person.
"""

from __future__ import annotations

import base64
import binascii
import re
from functools import lru_cache
from typing import Final

from bridge.migration.mirth.js_lex import SCRIPT_MAX_CHARACTERS
from bridge.migration.mirth.model import Secret
from bridge.migration.mirth.secret_texts import BLANK, HARMLESS, Note, in_prose, may_recur, swept, without
from bridge.migration.mirth.xml_tree import Node

LEFT_OUT: Final = (
    "it holds a password or key, which no file here may: keep it where secrets are kept, `secret://`, as the "
    "`auth` of the API that needs it"
)
_NAMES: Final = re.compile(
    r"(pass(word|wd|phrase|code)?|pwd|(?<![a-z])pw|(?<=[a-z])PW|secret|token|api[_.-]?key|credentials?"
    r"|(private|access|secret|encryption)[_.-]?key|keystorepass|truststorepass"
    r"|authorization|auth[_.-]?(key|token|header))$",
    re.IGNORECASE,
)
_ANYWHERE: Final = re.compile(
    r"pass(word|wd|phrase)|secret|token|api[_.-]?key|private[_.-]?key|credential", re.IGNORECASE
)
_NO_SECRETS: Final = frozenset({"quoteToken", "quoteEscapeToken"})
"""Of delimited text: the characters around values."""
_MAY_HOLD_ONE: Final = re.compile(r"""["'`:=<\s]|[A-Za-z0-9+/]{12}""")
"""Most texts of an export are one short word, in which there is nothing to look for."""
_RECURRING_MAX_COUNT: Final = 200
_PLACEHOLDER: Final = re.compile(r"\s*\$\{[^}]*\}\s*")
_LITERAL: Final = re.compile(r"""\s*(["'])(?P<value>.*)\1\s*;?\s*""", re.DOTALL)
_VALUES_OF_STEPS: Final = {"mapping": "variable", "defaultValue": "variable"}
_VALUES_OF_OLD_STEPS: Final = {"Mapping": "Variable", "DefaultValue": "Variable"}


def take_secrets(root: Node, channel: str) -> list[Secret]:
    """Blank every secret of a tree that can be known, and say where each stood."""
    found: list[Secret] = []
    values: dict[str, None] = {}
    texts = [node for node in root.every() if not node.children and node.text.strip()]
    for node in texts:
        kinds = _blank(node, values)
        found += [Secret(channel, node.xpath, what) for what in dict.fromkeys(kinds)]
    known = [value for value in values if may_recur(value)][:_RECURRING_MAX_COUNT]
    for node in texts:
        if (text := without(node.text, known)) != node.text:
            node.text = text
            found.append(Secret(channel, node.xpath, "a secret that stands elsewhere too"))
    return found


def _blank(node: Node, values: dict[str, None]) -> list[str]:
    """Blank one text, and say what was in it. ``values`` are added to."""
    name = _name_of(node)
    if name in _NO_SECRETS:
        return []
    text = node.text.strip()
    if _is_name(name) and text.lower() not in HARMLESS and not _PLACEHOLDER.fullmatch(text):
        values[text] = None
        node.text = BLANK
        return [f"{name.rpartition('.')[2]} in the properties"]
    if _MAY_HOLD_ONE.search(text) is None:
        return []
    if len(node.text) > SCRIPT_MAX_CHARACTERS:
        return ["a text that is too long to be looked through"]
    if _is_name(_set_by_step(node)) and (literal := _LITERAL.fullmatch(node.text)) is not None:
        if literal["value"].lower() not in HARMLESS:
            values[literal["value"]] = None
            node.text = f"{literal[1]}{BLANK}{literal[1]}"
            return ["a password or key in a step"]
        return []
    kinds: list[str] = []

    def note(what: str, value: str) -> None:
        kinds.append(what)
        values[value] = None

    if node.attributes.get("encoding") == "base64":
        _blank_encoded(node, note)
    else:
        node.text = swept(node.text, note)
    if name == "description":
        node.text = in_prose(node.text, note, "a password in a description")
    return kinds


def _blank_encoded(node: Node, note: Note) -> None:
    """A sample or template that is written in Base64."""
    try:
        plain = base64.b64decode("".join(node.text.split()), validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return
    made = swept(plain, note)
    if made != plain:
        node.text = base64.b64encode(made.encode()).decode()


@lru_cache(maxsize=4096)
def _is_name(name: str) -> bool:
    """Whether what has exactly this name is a secret. An export has few names, often."""
    return _NAMES.search(name) is not None


def is_secret_name(name: str) -> bool:
    """Whether what has this name is probably a secret."""
    return _ANYWHERE.search(name) is not None


def blanked(script: str) -> str:
    """A script with its secrets blanked, so that it can be kept; nothing of one that is too long."""
    if len(script) > SCRIPT_MAX_CHARACTERS:
        return f"(left out: {len(script)} characters)"
    return swept(script, lambda *_: None)


def _name_of(node: Node) -> str:
    if node.tag in ("string", "value"):
        return _key_of(node)
    return node.attributes.get("name", node.tag) if node.tag == "property" else node.tag


def _key_of(node: Node) -> str:
    """For a value of a map: the key that stands before it."""
    entry = node.parent
    while entry is not None and entry.tag != "entry":
        entry = entry.parent
    if entry is None or not entry.children or entry.children[0] is node:
        return ""
    return entry.children[0].text.strip()


def _set_by_step(node: Node) -> str:
    """For the value that a step gives to a variable, or that a rule asks for: the variable's name."""
    step = node.parent
    if step is not None and node.tag in _VALUES_OF_STEPS:
        return step.at(_VALUES_OF_STEPS[node.tag]).strip()
    if step is not None and step.tag == "values" and step.parent is not None:
        return step.parent.at("field").strip("$()'\" ")
    wanted = _VALUES_OF_OLD_STEPS.get(_key_of(node))
    data = None if step is None else step.parent
    for entry in [] if wanted is None or data is None else data.children:
        if len(entry.children) == 2 and entry.children[0].text.strip() == wanted:
            return entry.children[1].text.strip()
    return ""
