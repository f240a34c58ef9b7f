"""Texts and names as our files write them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

NAME_MAX_CHARACTERS: Final = 40
COMMENT_MAX_CHARACTERS: Final = 110
LINE_MAX_CHARACTERS: Final = 100
_PLAIN: Final = re.compile(r"[A-Za-z0-9_./$^][A-Za-z0-9_./$^(),=|<>!'+* \-]*")
_PLAIN_IN_LIST: Final = re.compile(r"[A-Za-z0-9_./^][A-Za-z0-9_./^*\-]*")
_WORDS: Final = frozenset({"null", "~", "true", "false", "yes", "no", "on", "off"})


def scalar(text: str) -> str:
    """A text as YAML writes it, plain where that is safe.

    >>> scalar("PID-5.1"), scalar("PV1-2 in ['I']"), scalar("join(': ', PID-5.1)")
    ('PID-5.1', '"PV1-2 in [\\'I\\']"', '"join(\\': \\', PID-5.1)"')
    """
    if _PLAIN.fullmatch(text) and not text.endswith(" ") and text not in _WORDS and " -" not in text:
        return text
    return quoted(text)


def item(text: str) -> str:
    """The same within a list or mapping on one line."""
    return text if _PLAIN_IN_LIST.fullmatch(text) and text not in _WORDS else quoted(text)


def quoted(text: str) -> str:
    """A text in double quotes."""
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    made = "".join(
        escapes.get(sign) or (sign if sign.isprintable() else f"\\U{ord(sign):08x}") for sign in text
    )
    return f'"{made}"'


def comment(text: str, indent: str = "", sign: str = "# ") -> list[str]:
    """Lines of a comment, whatever the text holds; a line is broken between words."""
    found: list[str] = []
    for line in printable(text).splitlines() or [""]:
        rest = line.rstrip()
        while len(rest) > COMMENT_MAX_CHARACTERS and " " in rest.strip():
            cut = rest.rfind(" ", 0, COMMENT_MAX_CHARACTERS)
            if cut <= len(rest) - len(rest.lstrip()):
                break
            found.append(rest[:cut])
            rest = rest[cut + 1 :]
        found.append(rest)
    return [f"{indent}{sign}{line}".rstrip() for line in found]


def verbatim(script: str, indent: str = "") -> list[str]:
    """The lines of a script as a comment, each as it stands."""
    return [f"{indent}#   | {line}".rstrip() for line in printable(script).splitlines()]


def printable(text: str) -> str:
    """A text without signs that a terminal or an editor would act on; lines and tabs stay."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", "    ")
    text = re.sub("[\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029]", " ", text)
    return "".join(
        sign if sign == "\n" or sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text
    )


def one_line(text: str, most: int = 200) -> str:
    """A text of somebody else's on one line of ours."""
    found = " ".join(printable(text).split())
    return found if len(found) <= most else found[: most - 3] + "..."


def slug(text: str, most: int = NAME_MAX_CHARACTERS, *, otherwise: str = "unnamed") -> str:
    """A name of ours from one of theirs: small letters, digits and hyphens, with a letter at its start.

    >>> slug("ADT / Zürich (neu)"), slug("0002_mappings")
    ('adt-zurich-neu', 'ch-0002-mappings')
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    found = re.sub(r"[^a-z0-9]+", "-", plain)[:most].strip("-") or otherwise
    return found if found[0].isalpha() else f"ch-{found}"[:most].strip("-")


def listed(key: str, items: Sequence[str], indent: str, brackets: str = "[]") -> list[str]:
    """A key with a list on as few lines as it takes; further lines begin with ``indent``."""
    line = f"{key}: {brackets[0]}{', '.join(items)}{brackets[1]}"
    if len(line) <= LINE_MAX_CHARACTERS:
        return [line]
    lines, here = [f"{key}:"], f"{indent}{brackets[0]}"
    for number, each in enumerate(items):
        end = brackets[1] if number == len(items) - 1 else ", "
        if len(here) + len(each) + len(end) > LINE_MAX_CHARACTERS:
            lines.append(here.rstrip())
            here = f"{indent} "
        here += each + end
    return [*lines, here]


def unique(names: Iterable[str], taken: set[str] | None = None) -> list[str]:
    """The names, with a number behind each that was given before."""
    seen = set(taken or ())
    found: list[str] = []
    for name in names:
        made, number = name, 2
        while made in seen:
            made, number = f"{name}-{number}", number + 1
        seen.add(made)
        found.append(made)
    return found
