"""JavaScript becomes tokens, as far as they can be told without its grammar."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from bridge.migration.mirth.js_tree import NotRead

SCRIPT_MAX_CHARACTERS: Final = 256 * 1024
TOKENS_MAX_COUNT: Final = 60_000

KEYWORDS: Final = frozenset(
    "var let const function return if else for each in of while do break continue switch case default try "
    "catch finally throw new delete typeof instanceof void this null true false undefined".split()
)
_SPACE: Final = re.compile(r"(?:\s|//[^\n\r]*|<!--[^\n]*)+")
_WORD: Final = re.compile(r"[^\W\d][\w$]*|\$[\w$]*|_[\w$]*")
_NUMBER: Final = re.compile(r"0[xX][0-9a-fA-F]+|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_SIGN: Final = re.compile(
    r">>>=|===|!==|>>>|<<=|>>=|\.\.\.|&&|\|\||==|!=|<=|>=|\+\+|--|\+=|-=|\*=|/=|%=|&=|\|=|\^=|=>|<<|>>|::|\.\."
    r"|[{}()\[\];,<>+\-*/%&|^!~?:=.@]"
)
_STRING: Final = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'", re.DOTALL)
_TEMPLATE: Final = re.compile(r"`((?:[^`\\]|\\.)*)`", re.DOTALL)
_REGEX: Final = re.compile(r"/((?:[^/\\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+)/([a-z]*)")
_ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|\n|.)", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "\n": ""}
_XML_START: Final = re.compile(r"<(?:>|[A-Za-z_{][\w.:\-]*)")
_XML_TAG: Final = re.compile(
    r"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|<(?P<close>/?)[\w.:{}\-]*(?:\"[^\"]*\"|'[^']*'|\{[^{}]*\}|[^<>\"'{}])*?"
    r"(?P<empty>/?)>",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word, sign or literal. ``line`` says whether a line end stands before it."""

    kind: str
    text: str
    at: int
    line: bool = False
    flags: str = ""


def tokens(script: str) -> list[Token]:
    """All tokens, an end last. Raises NotRead."""
    if len(script) > SCRIPT_MAX_CHARACTERS:
        raise NotRead(f"the script is longer than {SCRIPT_MAX_CHARACTERS} characters", 0)
    found: list[Token] = []
    at = 0
    line = False
    while at < len(script):
        if space := _SPACE.match(script, at):
            line = line or "\n" in space[0] or "\r" in space[0]
            at = space.end()
            continue
        if script.startswith("/*", at):
            end = script.find("*/", at + 2)
            if end < 0:
                raise NotRead("a comment that is not closed", at)
            line = line or "\n" in script[at:end]
            at = end + 2
            continue
        if len(found) >= TOKENS_MAX_COUNT:
            raise NotRead(f"the script has more than {TOKENS_MAX_COUNT} words and signs", at)
        token, at = _token(script, at, line, value_before=_ends_a_value(found))
        found.append(token)
        line = False
    found.append(Token("end", "", len(script), True))
    return found


def _ends_a_value(found: list[Token]) -> bool:
    """Whether a division may follow, and neither a pattern nor XML."""
    if not found:
        return False
    last = found[-1]
    if last.kind in ("name", "text", "number", "regex", "xml", "template"):
        return True
    if last.kind == "word":
        return last.text in ("this", "null", "true", "false", "undefined")
    return last.text in (")", "]", "}")


def _token(script: str, at: int, line: bool, *, value_before: bool) -> tuple[Token, int]:
    character = script[at]
    if character in "\"'":
        match = _STRING.match(script, at)
        if match is None:
            raise NotRead("a string that is not closed", at)
        return Token("text", unescaped(match[0][1:-1]), at, line), match.end()
    if character == "`":
        match = _TEMPLATE.match(script, at)
        if match is None:
            raise NotRead("a template string that does not end, or holds another one", at)
        return Token("template", match[1], at, line), match.end()
    if character == "/" and not value_before and (match := _REGEX.match(script, at)):
        return Token("regex", match[1], at, line, match[2]), match.end()
    if character == "<" and not value_before and _XML_START.match(script, at):
        return Token("xml", "", at, line), _xml_end(script, at)
    if match := _WORD.match(script, at):
        return Token("word" if match[0] in KEYWORDS else "name", match[0], at, line), match.end()
    if (character.isdigit() or character == ".") and (match := _NUMBER.match(script, at)):
        return Token("number", match[0], at, line), match.end()
    if match := _SIGN.match(script, at):
        return Token("sign", match[0], at, line), match.end()
    raise NotRead(f"a character that is not expected: {character!r}", at)


def unescaped(text: str) -> str:
    """A text without the escapes that it was written with."""

    def one(match: re.Match[str]) -> str:
        word = match[1]
        if word[0] in "ux" and len(word) > 1:
            return chr(int(word[1:], 16))
        return _ESCAPES.get(word, word)

    return _ESCAPE.sub(one, text)


def _xml_end(script: str, at: int) -> int:
    depth = 0
    start = at
    while True:
        at = script.find("<", at)
        match = None if at < 0 else _XML_TAG.match(script, at)
        if match is None:
            raise NotRead("an XML literal that does not end", start)
        at = match.end()
        if match["close"] is None:
            continue
        if match["close"]:
            depth -= 1
        elif not match["empty"]:
            depth += 1
        if depth <= 0:
            return at
