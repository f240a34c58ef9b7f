"""The text of an expression becomes tokens. A path such as `PID-3(5=MR).4.1` is one token."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from bridge.mapping.syntax import Member, MemberBase, Mistake, Path, Where
from bridge.mapping.values import EXPRESSION_MAX_CHARACTERS

NUMBER_MAX_IN_PATH: Final = 9_999

TokenKind = Literal["path", "member", "text", "number", "name", "sign", "end"]


@dataclass(frozen=True, slots=True)
class Token:
    """One word or sign. ``text`` is as written, but for a text literal, where it is the text meant."""

    kind: TokenKind
    text: str
    offset: int
    path: Path | None = None
    member: Member | None = None
    number: Decimal | None = None


_BLANK = re.compile(r"\s+")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_SIGN = re.compile(r"!=|<=|>=|[=<>|(),\[\]+-]")
_PATH_LIKE = re.compile(r"[A-Z][A-Za-z0-9]*(?=-[0-9])")
_SEGMENT = re.compile(r"[A-Z][A-Z0-9]{1,2}")
_PATH = re.compile(
    r"(?P<segment>[A-Z][A-Z0-9]{1,2})"
    r"(?:\((?:(?P<every>\*)|(?P<which>[0-9]+)"
    r"|(?P<element>[0-9]+)\s*=\s*(?:'(?P<is_quoted>[^'\\]*)'|(?P<is>[^()',=|\s]+)))\s*\))?"
    r"-(?P<field>[0-9]+)"
    r"(?:\((?:(?P<all>\*)|(?P<repetition>[0-9]+)"
    r"|(?P<component>[0-9]+)\s*=\s*(?:'(?P<quoted>[^'\\]*)'|(?P<value>[^()',=|\s]+)))\s*\))?"
    r"(?:\.(?:(?P<whole>\*)|(?P<c>[0-9]+)(?:\.(?P<s>[0-9]+))?))?"
)
_MEMBER = re.compile(r"\$(?P<base>[a-z]*)")
_MEMBER_STEP = re.compile(
    r"\.(?P<name>@?[A-Za-z_][A-Za-z0-9_]*)"
    r"|\[(?:'(?P<one>[^'\\\]]+)'|\"(?P<two>[^\"\\\]]+)\")\]"
    r"|\((?:(?P<all>\*)|(?P<number>[0-9]{1,5}))\)"
)
_MEMBER_BASES: Final[dict[str, MemberBase]] = {
    "": "item",
    "root": "root",
    "header": "header",
    "trailer": "trailer",
    "meta": "header",
}
"""What stands around a record is its envelope's, as what stands before rows is their header."""
MEMBER_STEPS_MAX_COUNT: Final = 32
_ESCAPES = {"n": "\n", "t": "\t", "\\": "\\", "'": "'"}


def tokens(text: str) -> list[Token]:
    """The tokens of an expression, an end token last; raises Mistake."""
    if len(text) > EXPRESSION_MAX_CHARACTERS:
        hint = "give parts of it a name under `let`"
        raise Mistake(0, "E103", f"longer than {EXPRESSION_MAX_CHARACTERS} characters", hint)
    found: list[Token] = []
    at = 0
    while at < len(text):
        if blank := _BLANK.match(text, at):
            at = blank.end()
            continue
        token, at = _token(text, at)
        found.append(token)
    found.append(Token("end", "", len(text)))
    return found


def _token(text: str, at: int) -> tuple[Token, int]:
    character = text[at]
    if character == "'":
        return _literal(text, at)
    if word := _PATH_LIKE.match(text, at):
        return _path(text, at, word[0])
    if word := _WORD.match(text, at):
        following = text[word.end() : word.end() + 1]
        if _SEGMENT.fullmatch(word[0]) and following == "(":
            return _path(text, at, word[0])
        if _SEGMENT.fullmatch(word[0]) and following == "[":
            raise Mistake(word.end(), "E105", "brackets do not belong in a path", "use parentheses: NTE(2)-3")
        return Token("name", word[0], at), word.end()
    if number := _NUMBER.match(text, at):
        return Token("number", number[0], at, number=Decimal(number[0])), number.end()
    if sign := _SIGN.match(text, at):
        return Token("sign", sign[0], at), sign.end()
    if character == "$":
        return _member(text, at)
    hint = {
        '"': "texts stand in single quotes",
        **dict.fromkeys("\u2018\u2019\u201a\u201c\u201d\u201e", "type straight single quotes, '"),
        "?": "write if(condition, a, b)",
        "&": "write and",
        "*": "there is no multiplication",
        "{": "lists and mappings belong to the YAML around the expression",
    }.get(character)
    raise Mistake(at, "E104", f"unexpected {character!r}", hint)


def _literal(text: str, start: int) -> tuple[Token, int]:
    pieces: list[str] = []
    at = start + 1
    while at < len(text):
        character = text[at]
        if character == "'":
            return Token("text", "".join(pieces), start), at + 1
        if character == "\\":
            escape = text[at + 1 : at + 2]
            if escape not in _ESCAPES:
                raise Mistake(at, "E102", f"unknown escape '\\{escape}'", r"one of \n \t \\ \'")
            pieces.append(_ESCAPES[escape])
            at += 2
            continue
        pieces.append(character)
        at += 1
    raise Mistake(start, "E102", "a text without its closing quote", "close it with '")


def _path(text: str, at: int, word: str) -> tuple[Token, int]:
    if _SEGMENT.fullmatch(word) is None:
        hint = f"did you mean {word.upper()!r}?" if _SEGMENT.fullmatch(word.upper()) else "as in PID-5.1"
        raise Mistake(at, "E105", f"{word!r} is no segment name: three capitals or digits", hint)
    match = _PATH.match(text, at)
    if match is None:
        hint = "as in NTE(*)-3, NTE(2)-3 or N1(1=PR)-02; values with blanks or signs in quotes"
        raise Mistake(at, "E105", f"{word}(...) is not followed by a field, or names no segment", hint)
    following = text[match.end() : match.end() + 1]
    if following == "(":
        hint = "PID-3(2), PID-3(*) or PID-3(5=MR); values with blanks or signs in quotes: PID-3(5='A B')"
        raise Mistake(
            match.end(), "E105", "the repetition is not written as a number, * or component=value", hint
        )
    if following == "[":
        raise Mistake(match.end(), "E105", "brackets do not belong in a path", "use parentheses: PID-3(2)")
    if following in (".", "-", "_") or following.isalnum():
        hint = "as in PID-5.1 or PID-3(2).4.1; blanks around a minus"
        raise Mistake(match.end(), "E105", f"unexpected {following!r} in a path", hint)
    numbers = [match[name] for name in ("field", "repetition", "component", "c", "s", "which", "element")]
    if any(each is not None and not 0 < int(each[:9]) <= NUMBER_MAX_IN_PATH for each in numbers):
        raise Mistake(at, "E105", f"the numbers in a path count from 1, up to {NUMBER_MAX_IN_PATH}")
    path = Path(
        match[0],
        at,
        match["segment"],
        int(match["field"]),
        _repetition(match),
        None if match["c"] is None else int(match["c"]),
        None if match["s"] is None else int(match["s"]),
        _which(match),
        match["whole"] is not None,
    )
    return Token("path", match[0], at, path=path), match.end()


def _which(match: re.Match[str]) -> int | Where | None:
    if match["every"]:
        return None
    if match["element"] is not None:
        value = match["is_quoted"] if match["is_quoted"] is not None else match["is"]
        return Where(int(match["element"]), value)
    return int(match["which"] or 1)


def _member(text: str, at: int) -> tuple[Token, int]:
    head = _MEMBER.match(text, at)
    assert head is not None, "a dollar sign begins it"
    base = _MEMBER_BASES.get(head["base"])
    if base is None:
        hint = "as in $.column, $root.name, $header.name or $trailer.name"
        raise Mistake(at, "E105", f"'${head['base'][:40]}' is nothing that can be read", hint)
    end = head.end()
    steps: list[str | int | None] = []
    while (step := _MEMBER_STEP.match(text, end)) is not None:
        name = step["name"] or step["one"] or step["two"]
        steps.append(name or (None if step["all"] else int(step["number"])))
        end = step.end()
    if not steps or steps[-1] == 0 or 0 in steps or len(steps) > MEMBER_STEPS_MAX_COUNT:
        hint = "as in $.column, $['Charge Amt'] or $.lines(2).code"
        raise Mistake(at, "E105", "a name does not follow the $, or its numbers do not count from 1", hint)
    following = text[end : end + 1]
    if following in (".", "[", "(", "_") or following.isalnum():
        hint = "names with blanks or signs stand as $['Charge Amt']"
        raise Mistake(end, "E105", f"unexpected {following!r} in a path", hint)
    member = Member(text[at:end], at, base, tuple(steps))
    return Token("member", text[at:end], at, member=member), end


def _repetition(match: re.Match[str]) -> int | Where | None:
    if match["all"]:
        return None
    if match["component"] is not None:
        value = match["quoted"] if match["quoted"] is not None else match["value"]
        return Where(int(match["component"]), value)
    return int(match["repetition"] or 1)
