"""Durations, sizes, rates, paths and secrets as files write them: a number never stands without its unit.

Each is a type for an options model. In the file it is text (``5s``, ``16MiB``, ``20/s``,
``secret://env/NAME``); in the program it is a number in one unit, or a reference that shows no secret.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, GetCoreSchemaHandler, ValidationInfo, WithJsonSchema
from pydantic_core import CoreSchema, core_schema

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_PER_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_NUMBER = r"(\d{1,9}(?:\.\d{1,6})?)"
_DURATION = re.compile(_NUMBER + r"(ms|s|m|h|d)")
_SIZE = re.compile(_NUMBER + r"(B|KiB|MiB|GiB)")
_RATE = re.compile(_NUMBER + r"/(s|m|h)")
_SECRET = re.compile(
    r"secret://(?:(env|file|systemd)/([A-Za-z0-9][A-Za-z0-9_.-]{0,199})"
    r"|(vault)/((?:[A-Za-z0-9][A-Za-z0-9_.-]{0,99}/){1,8}[A-Za-z0-9][A-Za-z0-9_.-]{0,99}"
    r"#[A-Za-z0-9][A-Za-z0-9_.-]{0,99}))"
)


def parse_duration(value: object) -> float:
    """A duration in seconds.

    >>> parse_duration("1.5m")
    90.0
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if match := _DURATION.fullmatch(str(value)):
        return float(match[1]) * _SECONDS[match[2]]
    raise ValueError("expected a duration with its unit: ms, s, m, h or d, as in 500ms, 5s or 7d")


def parse_size(value: object) -> int:
    """A size in bytes.

    >>> parse_size("16MiB")
    16777216
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if match := _SIZE.fullmatch(str(value)):
        return int(float(match[1]) * _BYTES[match[2]])
    raise ValueError("expected a size with its unit: B, KiB, MiB or GiB, as in 16MiB")


def size_text(size_bytes: int) -> str:
    """A size as people say it, where it is a round one.

    >>> size_text(4194304), size_text(1536), size_text(1000)
    ('4 MiB', '1536 bytes', '1000 bytes')
    """
    for unit in ("GiB", "MiB", "KiB"):
        if size_bytes and size_bytes % _BYTES[unit] == 0:
            return f"{size_bytes // _BYTES[unit]} {unit}"
    return f"{size_bytes} bytes"


def parse_rate(value: object) -> float:
    """A rate in events per second.

    >>> parse_rate("90/m")
    1.5
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if match := _RATE.fullmatch(str(value)):
        return float(match[1]) / _PER_SECONDS[match[2]]
    raise ValueError("expected a rate with its unit: /s, /m or /h, as in 20/s")


def _written(pattern: re.Pattern[str], example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^{pattern.pattern}$", "examples": [example]})


DurationS = Annotated[float, BeforeValidator(parse_duration), _written(_DURATION, "5s")]
SizeBytes = Annotated[int, BeforeValidator(parse_size), _written(_SIZE, "16MiB")]
RatePerS = Annotated[float, BeforeValidator(parse_rate), _written(_RATE, "20/s")]


SECRET_MAX_BYTES: Final = 4096
NO_LINE: Final = (
    f"it is empty, longer than {SECRET_MAX_BYTES} bytes, or holds a line break, a space at an end or what "
    "else no header can hold"
)
LINE: Final = "a secret of one line"
"""Marks an option whose secret goes into a header or a login, and must be one that `is_line` takes."""
_VISIBLE = re.compile(r"[!-~](?:[ -~]*[!-~])?")


def is_line(secret: str) -> bool:
    """Whether a header can hold a secret: visible ASCII (RFC 9110 §5.5) without spaces at its ends.

    >>> is_line("s3cret"), is_line("s3cret\\nX-Admin: 1")
    (True, False)
    """
    return len(secret) <= SECRET_MAX_BYTES and _VISIBLE.fullmatch(secret) is not None


def _below_the_folder(path: Path, info: ValidationInfo) -> Path:
    """A relative path is one below the configuration's folder, which whoever reads its files passes on."""
    folder = (info.context or {}).get("folder")
    return path if folder is None else folder / path


SiteFile = Annotated[
    Path,
    AfterValidator(_below_the_folder),
    WithJsonSchema({"type": "string", "examples": ["tls/bridge.pem"]}),
]
"""A file that a configuration names, relative to the configuration's folder or absolute."""


@dataclass(frozen=True, slots=True)
class SecretRef:
    """A reference to a secret. It can be printed, since it holds no secret.

    ``anew`` asks for it where it is kept, since what is known of it will not do.
    """

    source: Literal["env", "file", "systemd", "vault"]
    name: str
    anew: bool = field(default=False, compare=False, repr=False)

    def __str__(self) -> str:
        return f"secret://{self.source}/{self.name}"

    @classmethod
    def parse(cls, value: object) -> SecretRef:
        """The reference that the text names; ValueError where a secret itself may have been written."""
        if isinstance(value, SecretRef):
            return value
        if match := _SECRET.fullmatch(str(value)):
            source, name = match[1] or match[3], match[2] or match[4]
            return cls(source, name)  # type: ignore[arg-type]
        raise ValueError(
            "expected a reference, secret://env/NAME or secret://file/name, never the secret itself"
        )

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(cls.parse)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: Any) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^{_SECRET.pattern}$", "examples": ["secret://env/EHR_API_KEY"]}
