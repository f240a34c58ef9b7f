"""Where a message of each format says its type and its version, in the words of its own people."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from bridge.mapping.codes import CODES
from bridge.message import Issue

_KNOWN_MAX_COUNT: Final = 8
_SAYABLE: Final = re.compile(r"[0-9]{6}(X[0-9]{3}([AE][0-9]{1,2})?)?")
"""A version of X12 as it is meant: it can be repeated in an issue, since nobody's data has room in it."""


class _Head(NamedTuple):
    type: str
    version: str
    what: str


_HEADS: Final[Mapping[str, _Head]] = MappingProxyType(
    {
        "hl7v2": _Head("MSH-9", "MSH-12", "HL7 version"),
        "x12": _Head("ST-01", "ST-03, GS-08", "implementation"),
        "edifact": _Head("UNH-02.1", "UNH-02.2, UNH-02.3, UNH-02.4, UNH-02.5", "implementation"),
    }
)
_OTHER: Final = _Head("", "", "version")


def type_refused(form: str, accept: Collection[str]) -> Issue:
    """R002, for a message of a format whose type is not among those that are accepted."""
    return Issue("R002", "", "", f"{CODES['R002']} {_taken(accept)}", _HEADS.get(form, _OTHER).type)


def version_refused(form: str, version: str, versions: Collection[str]) -> Issue:
    """R003, for a message whose version is not among those that are declared, or that says none."""
    head = _HEADS.get(form, _OTHER)
    if not version:
        said = f"The message names no {head.what}."
    elif form == "x12" and _SAYABLE.fullmatch(version):
        said = f"The message's {head.what} is {version}, which the mapping does not declare."
    else:
        said = f"The message's {head.what} is not one that the mapping declares."
    return Issue("R003", "", "", f"{said} {_taken(versions)}", head.version)


def _taken(names: Collection[str]) -> str:
    shown = sorted(names)[:_KNOWN_MAX_COUNT]
    more = len(names) - len(shown)
    return f"It takes {', '.join(shown)}{f' and {more} more' if more else ''}."
