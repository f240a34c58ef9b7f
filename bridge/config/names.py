"""The names that files give to things."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator, WithJsonSchema

NAME_MAX_CHARACTERS: Final = 64
NAME_PATTERN: Final = r"[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?"
_OPERATION = r"[A-Za-z][A-Za-z0-9_-]{0,63}"


def is_name(text: str) -> bool:
    """Whether text can be the name of a thing that has a file."""
    return re.fullmatch(NAME_PATTERN, text) is not None


def _name(text: str) -> str:
    if not is_name(text):
        raise ValueError(
            "expected a name of small letters, digits, '.', '-' and '_', which begins and ends with a letter "
            f"or digit, of at most {NAME_MAX_CHARACTERS} characters"
        )
    return text


def _operation(text: str) -> str:
    if not re.fullmatch(_OPERATION, text):
        raise ValueError("expected the name of an operation: letters, digits, '-' and '_', as in putPatient")
    return text


Name = Annotated[
    str, AfterValidator(_name), WithJsonSchema({"type": "string", "pattern": f"^{NAME_PATTERN}$"})
]
"""The name of a channel, a route, a mapping, an API, an environment or a value of one."""

OperationName = Annotated[
    str, AfterValidator(_operation), WithJsonSchema({"type": "string", "pattern": f"^{_OPERATION}$"})
]
"""The name of an API's operation."""


def short(text: str) -> str:
    """As much of a text as is shown in a sentence."""
    return text if len(text) <= 60 else text[:57] + "..."
