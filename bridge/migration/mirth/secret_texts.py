"""Secrets in texts of people: scripts, addresses, headers, templates. Found by the names and forms they have.

A secret under a name that tells nothing cannot be known. A name that tells little (``pass``, ``token``)
counts only with a value that looks like a secret, so that results of tests and parts of HL7 stay readable.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Final

BLANK: Final = "***left-out***"
"""What stands where a secret was. No script has it by itself, so what holds it is known to have held one."""
RECURS_MIN_CHARACTERS: Final = 8
HARMLESS: Final = frozenset(
    {"", "anonymous", "false", "true", "none", "null", "0", "1", "basic", "bearer", "undefined"}
)
_STRONG: Final = (
    r"pass(?:word|wd|phrase|code)s?|pwd|(?<![A-Za-z])pw|secret|credentials?|authorization"
    r"|(?:api|private|access|auth|encryption|signing)[_.-]?key"
)
_WEAK: Final = r"pass|token|auth"
_RESULTS: Final = frozenset({"pass", "passed", "fail", "failed", "yes", "no", "ok"})
_PLACE: Final = re.compile(r"[A-Z][A-Z0-9]{2}(?:[.\-]?\d+(?:\.\d+){0,3})?")
_WORD: Final = re.compile(r"[A-Z_]{1,20}|[a-z]{1,3}|.{0,2}", re.DOTALL)
# Every repetition has an end, so that no text makes looking through it slow.
_TEXT: Final = r"""(?:"(?:\\.|[^"\\\n]){0,500}"|'(?:\\.|[^'\\\n]){0,500}'|`(?:\\.|[^`\\]){0,500}`)"""
_AND: Final = r"\s{0,9}(?:\+|:|\|\|)\s{0,9}"
_TEXTS: Final = rf"{_TEXT}(?:{_AND}(?:[\w.$]{{1,60}}{_AND})?{_TEXT}){{0,10}}"
_ONE_TEXT: Final = re.compile(_TEXT)
_WRAPPED: Final = r"(?:(?:new\s{1,5})?(?:java\.lang\.)?String\s{0,5}\(\s{0,5})?"
_OPERANDS: Final = r"""(?:[^;\n"'`()\[\]={},]{1,60}(?:\+|\?|:|\|\||&&)\s{0,9})?"""
_NAME: Final = r"(?:[A-Za-z_$][\w$.-]{0,120}?)?"


def _named(names: str) -> re.Pattern[str]:
    """A name, and the texts that it is given, held against, or listed with: ``=``, ``==``, ``:``."""
    return re.compile(
        rf"(?<![A-Za-z0-9_$.-]){_NAME}(?:{names})[\"']?\]?\)?\s{{0,9}}(?:\+=|[=!]={{0,2}}|:)\s{{0,9}}"
        rf"{_OPERANDS}{_WRAPPED}(?P<value>{_TEXTS})",
        re.IGNORECASE,
    )


_CALLED: Final = re.compile(
    rf"\(\s{{0,9}}[\"'`]{_NAME}(?:{_STRONG}|token)[\"'`]\s{{0,9}},\s{{0,9}}{_WRAPPED}(?P<value>{_TEXTS})",
    re.IGNORECASE,
)
"""``put('password', 'x')``, ``header('X-API-Key', 'x')``."""
_SET: Final = re.compile(
    rf"\bset\w{{0,40}}?(?:{_STRONG}|token)\s{{0,9}}\(\s{{0,9}}{_WRAPPED}(?P<value>{_TEXTS})", re.IGNORECASE
)
_BY_NAME: Final = (_named(_STRONG), _CALLED, _SET)
_BY_NAME_AND_LOOK: Final = _named(_WEAK)
_IN_HEADER: Final = "credentials in a header"
_PLAIN: Final = (
    (
        _IN_HEADER,
        re.compile(r"\b(?:Basic|Bearer|ApiKey|Token)\s{1,5}(?P<value>[A-Za-z0-9+/_.=-]{6,4000})"),
    ),
    (
        "a password in an address",
        re.compile(
            r"\b[a-z][a-z0-9+.-]{0,20}://[^\s:/@'\"]{1,200}:(?P<value>[^\s@/'\"]{1,200})(?=@)", re.IGNORECASE
        ),
    ),
    (
        "a password in an address",
        re.compile(
            r"\bjdbc:oracle:\w{1,10}:[^\s/@'\"]{1,100}/(?P<value>[^\s@/'\"]{1,200})(?=@)", re.IGNORECASE
        ),
    ),
    (
        "a password in a connection's properties",
        re.compile(
            rf"[?&;](?:user_?|access_?)?(?:{_STRONG}|token|sig|key)=(?P<value>[^&;'\"\s<>]{{1,500}})",
            re.IGNORECASE,
        ),
    ),
    (
        "a password in a text of XML",
        re.compile(
            rf"<(?:\w{{1,40}}:)?\w{{0,40}}?(?:{_STRONG}|token)(?:\s[^<>]{{0,200}})?>(?P<value>[^<>{{}}]{{1,500}})</",
            re.IGNORECASE,
        ),
    ),
    (
        "a password in a text of JSON",
        re.compile(
            rf"(?:{_STRONG}|token)\\[\"']\s{{0,10}}:\s{{0,10}}\\[\"'](?P<value>[^\"'\\\n]{{1,500}})",
            re.IGNORECASE,
        ),
    ),
)
_CALLS: Final = {
    "createDatabaseConnection": 3,
    "getConnection": 2,
    "UsernamePasswordCredentials": 1,
    "PasswordAuthentication": 1,
    "login": 1,
    "connect": 2,
}
"""Calls that are given a password, and which of their arguments it is, from 0."""
_CALL: Final = re.compile(rf"\b(?P<name>{'|'.join(_CALLS)})\s{{0,20}}\(")
_CALLS_MAX: Final = 500
_ARGUMENTS_MAX: Final = 2_000
_WORTH_A_LOOK: Final = re.compile(
    r"pass|pwd|pw|secret|credential|auth|key|token|login|connect|basic|bearer|sig=|jdbc:|://", re.IGNORECASE
)
"""Most texts have none of the words by which a secret is known."""
_COMMENT: Final = re.compile(r"(?<!:)//[^\n]{0,500}|/\*(?:[^*]|\*(?!/)){0,5000}\*/")
_IN_PROSE: Final = re.compile(
    r"\b(?:pass(?:word|wd|phrase)|pwd|pw|secret|api[_ -]?key)\s{0,3}(?:=|:|\bis\b)\s{0,3}"
    r"(?P<value>[^\s,;\"'`.*$()\[\]{}+][^\s,;\"'`*()\[\]{}]{2,100})",
    re.IGNORECASE,
)
_ODD: Final = re.compile(r"[\d_!#%@&-]")
_PEM: Final = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[^-]{1,8000}-----END [A-Z ]{0,30}PRIVATE KEY-----"
)

Note = Callable[[str, str], None]
"""Told of each secret what it is, and its value, so that it is found where it stands without its name."""


def swept(text: str, note: Note) -> str:
    """A text with its secrets blanked; ``note`` is told of each."""
    if _WORTH_A_LOOK.search(text) is None:
        return text
    text = _PEM.sub(lambda match: _told(note, "a private key", match[0]), text)
    text = _in_calls(text, note)
    in_script = "a password or key in a script"
    for pattern in _BY_NAME:
        text = pattern.sub(lambda match: _of_name(match, lambda _: True, note, in_script), text)
    text = _BY_NAME_AND_LOOK.sub(lambda match: _of_name(match, _looks_secret, note, in_script), text)
    for what, pattern in _PLAIN:

        def one(match: re.Match[str], what: str = what) -> str:
            value = match["value"]
            if _is_harmless(value):
                return match[0]
            if what == _IN_HEADER and not _is_credential(match[0], value):
                return match[0]
            start, end = match.start("value") - match.start(), match.end("value") - match.start()
            return match[0][:start] + _told(note, what, value) + match[0][end:]

        text = pattern.sub(one, text)
    return _COMMENT.sub(lambda match: in_prose(match[0], note, "a password in a comment"), text)


def in_prose(text: str, note: Note, what: str) -> str:
    """What people write down beside things: ``the password is ...``. Only what is odd for a word counts."""

    def one(match: re.Match[str]) -> str:
        value = match["value"]
        if _is_harmless(value) or _ODD.search(value) is None:
            return match[0]
        return match[0][: match.start("value") - match.start()] + _told(note, what, value)

    return _IN_PROSE.sub(one, text)


def without(text: str, values: Sequence[str]) -> str:
    """A text without values that are known to be secrets."""
    if not values or not any(each in text for each in values):
        return text
    return re.sub("|".join(map(re.escape, sorted(values, key=len, reverse=True))), BLANK, text)


def may_recur(value: str) -> bool:
    """Whether a secret is long and odd enough to be looked for wherever else it stands."""
    return len(value) >= RECURS_MIN_CHARACTERS and _looks_secret(value) and not value.isalpha()


def _told(note: Note, what: str, value: str) -> str:
    note(what, value)
    return BLANK


def _is_harmless(value: str) -> bool:
    return value.strip().lower() in HARMLESS or BLANK in value or "${" in value


def _looks_secret(value: str) -> bool:
    """Whether a value may be a secret although its name tells little: no word, result or place of HL7."""
    plain = value.lower() not in _RESULTS and not _WORD.fullmatch(value) and not _PLACE.fullmatch(value)
    return plain and not re.search(r"\s", value) and (len(value) >= 6 or not value.isalnum())


def _is_credential(whole: str, value: str) -> bool:
    """Whether what follows ``Basic`` or ``Bearer`` is more than a word: a metabolic panel is basic too."""
    if whole.startswith("Basic"):
        try:
            return b":" in base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
        except (binascii.Error, ValueError):
            return False
    return re.search(r"[\d_.=+/]", value.rstrip(".")) is not None


def _of_name(match: re.Match[str], counts: Callable[[str], bool], note: Note, what: str) -> str:
    """What stands in quotes behind a name, each text by itself, so that the quotes stay."""

    def one(text: re.Match[str]) -> str:
        inner = text[0][1:-1]
        if _is_harmless(inner) or not counts(inner):
            return text[0]
        return text[0][0] + _told(note, what, inner) + text[0][-1]

    start = match.start("value") - match.start()
    return match[0][:start] + _ONE_TEXT.sub(one, match["value"])


def _in_calls(text: str, note: Note) -> str:
    pieces, at = [], 0
    for call in islice(_CALL.finditer(text), _CALLS_MAX):
        arguments = list(_arguments(text, call.end()))
        number = _CALLS[call["name"]]
        if call.start() < at or len(arguments) <= number:
            continue
        start, end = arguments[number]
        found = _ONE_TEXT.fullmatch(text[start:end].strip())
        if found is None or _is_harmless(found[0][1:-1]):
            continue
        quote, start = found[0][0], start + len(text[start:end]) - len(text[start:end].lstrip())
        pieces += [text[at:start], quote, _told(note, "a password in a script", found[0][1:-1]), quote]
        at = end
    return "".join([*pieces, text[at:]])


def _arguments(text: str, start: int) -> Iterator[tuple[int, int]]:
    """Where the arguments of a call begin and end; none of a call that does not end."""
    found: list[tuple[int, int]] = []
    begun, depth, at = start, 0, start
    last = min(len(text), start + _ARGUMENTS_MAX)
    while at < last:
        sign = text[at]
        if sign in "\"'" and (quoted := _ONE_TEXT.match(text, at)) is not None:
            at = quoted.end()
            continue
        if sign == ")" and not depth:
            yield from [*found, (begun, at)]
            return
        depth += (sign in "([{") - (sign in ")]}")
        if sign == "," and not depth:
            found.append((begun, at))
            begun = at + 1
        at += 1
