"""What commands print: tables for people, JSON for programs, and times that anybody can read."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from bridge.cli import layout
from bridge.located import Problem

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")

PIPED_WIDTH_CHARACTERS = 140
_STEERS = re.compile("[\x7f-\x9f]")
_HL7_PLACE = re.compile(r"did you mean (?P<segment>[A-Z][A-Z0-9]{2})-(?P<numbers>\d{1,4}\.\d{1,4})\?$")


def table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Sequence[str] = (),
    folds: Sequence[str] | None = None,
    less: Sequence[str] = (),
) -> None:
    """Print a table; columns named in ``right`` hold numbers: they are set to the right, and never folded.

    Cells fold at blanks alone: of the columns in ``folds``, or where that is None of all that hold more than
    words, numbers and times. Where a terminal is too narrow for that, columns of ``less`` are left out, the
    last one first, and where that does not help each row is a block of lines. Into a pipe a table is as wide
    as it must be.
    """
    cells = [["" if cell is None else plain(str(cell), keeps_lines=True) for cell in row] for row in rows]
    # Cells are data: nothing in them is markup, and `:100:` is a line number. NO_COLOR asks for plain text,
    # where rich would leave bold and italics.
    bare = bool(os.environ.get("NO_COLOR"))
    console = _console(bare=bare)
    for number in range(len(less), -1, -1):
        kept = [at for at, column in enumerate(columns) if column not in less[number:]]
        names, shown = [columns[at] for at in kept], [[row[at] for at in kept] for row in cells]
        wanted = layout.rooms(names, shown, keeps=right, folds=folds)
        around = _around(names)
        if not console.is_terminal:
            console.width = max(PIPED_WIDTH_CHARACTERS, sum(each.least for each in wanted) + around)
        widths = layout.shared(wanted, console.width - around)
        if widths is not None:
            _print_table(console, title, names, shown, widths, right)
            return
    for line in filter(None, (plain(title, keeps_lines=True), *layout.blocks(columns, cells, console.width))):
        console.print(line, soft_wrap=True)
    console.print()


def _around(columns: Sequence[str]) -> int:
    """What a table takes beside its cells: lines and blanks between columns, and at both ends."""
    return 3 * len(columns) - 1 if any(columns) else 2 * len(columns) - 2


def _console(*, bare: bool) -> Console:
    from rich.console import Console

    class Ours(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # rich would end with 1, which says no

    return Ours(highlight=False, markup=False, emoji=False, color_system=None if bare else "auto")


def _print_table(
    console: Console,
    title: str,
    columns: Sequence[str],
    cells: Sequence[Sequence[str]],
    widths: Sequence[int],
    right: Sequence[str],
) -> None:
    from rich import box
    from rich.table import Table

    headed = any(columns)
    shown = Table(
        title=plain(title, keeps_lines=True) or None,
        title_justify="left",
        box=box.SIMPLE_HEAD if headed else None,
        show_header=headed,
        pad_edge=False,
    )
    for column, width in zip(columns, widths, strict=True):
        shown.add_column(column, justify="right" if column in right else "left", width=width, overflow="fold")
    for row in cells:
        shown.add_row(*row)
    console.print(shown)


@contextmanager
def progress(label: str, items: Iterable[T], length: int | None = None) -> Iterator[Iterable[T]]:
    """The items, with a line on the terminal that says how many have gone by, where somebody watches."""
    import sys

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    count = TextColumn("{task.completed:,.0f}") if length is None else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), count, TimeElapsedColumn())
    shown = Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
    with shown:
        yield shown.track(items, total=length, description=label)


@contextmanager
def counting(label: str) -> Iterator[Callable[[int], object]]:
    """What takes how many more are done, for a count on the terminal where somebody watches."""
    import sys

    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description} {task.completed:,.0f}"), TimeElapsedColumn())
    shown = Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
    with shown:
        task = shown.add_task(f"{label}:", total=None)
        yield lambda more: shown.advance(task, more)


def plain(text: str, *, keeps_lines: bool = False) -> str:
    """A text that came from outside, so that it cannot steer a terminal: what is no printable character
    (among it escapes, other ends of lines, and marks that turn the direction of writing) stands as its
    number.

    >>> print(plain("DOE\\x1b[2J"))
    DOE\\x1b[2J
    """
    if text.isprintable():
        return text
    kept = "\n" if keeps_lines else ""
    return "".join(each if each.isprintable() or each in kept else _number(each) for each in text)


def _number(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def write(path: Path, text: str) -> None:
    """Write a file that somebody asked for. Raises BadParameter where it cannot be written."""
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise click.BadParameter(f"{path}: {error.strerror}") from None


def json(value: Any) -> None:
    """Print a value as JSON, bytes in hexadecimal digits."""
    import orjson

    # A row's names are SQLAlchemy's own kind of text, which orjson takes for a key only when told to.
    click.echo(_dumped(value, orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS))


def json_line(value: Any) -> None:
    """Print a value as JSON in one line, as `json` does."""
    import orjson

    click.echo(_dumped(value, orjson.OPT_NON_STR_KEYS))


def _dumped(value: Any, option: int) -> str:
    import orjson

    try:
        text = orjson.dumps(value, option=option, default=_as_text)
    except TypeError:
        text = orjson.dumps(_encodable(value), option=option, default=_as_text)
    # JSON has numbers for control characters of ASCII; those from 0x7f on steer terminals too.
    return _STEERS.sub(lambda found: f"\\u{ord(found[0]):04x}", text.decode())


def _encodable(value: Any) -> Any:
    """The same, with bytes of names of files that are no UTF-8 as their numbers."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {_encodable(name): _encodable(each) for name, each in value.items()}
    return [_encodable(each) for each in value] if isinstance(value, list | tuple) else value


def _as_text(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def problem(found: Problem) -> str:
    """A mistake in a file, or a warning, as one line that begins with its place or says that it is one.

    Where its hint is a place of HL7 v2, it also says what that is called.
    """
    place = _HL7_PLACE.search(found.hint or "")
    called = "" if place is None else _called(place["segment"], *map(int, place["numbers"].split(".")))
    return f"{'warning: ' if found.severity == 'warning' else ''}{found}{called}"


def _called(segment: str, field: int, component: int) -> str:
    from bridge.dictionary.hl7v2_names import Names

    name = Names("").leaf(segment, field, component)
    return f" ({name.text})" if name.known else ""


def mistakes(problems: Iterable[Problem]) -> str:
    """How many mistakes there are; warnings do not count."""
    count = sum(found.severity == "error" for found in problems)
    return f"{count} mistake{'s' if count != 1 else ''}"


def moment(at_us: int) -> str:
    """A time as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(at_us / 1e6, UTC).isoformat(sep=" ", timespec="milliseconds")[:23] + "Z"


def minute(at_us: int) -> str:
    """A time in UTC to the minute, where a table has little room."""
    return datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%Y-%m-%d %H:%MZ")


_FIGURE = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")


def figure(text: str) -> str:
    """A number with its thousands apart, to the last digit; what is none is as it was.

    >>> figure("265730.10"), figure("-1200"), figure("000000001"), figure("unreadable")
    ('265,730.10', '-1,200', '000000001', 'unreadable')
    """
    if not _FIGURE.fullmatch(text):
        return text
    whole, point, decimals = text.partition(".")
    return f"{int(whole):,}{point}{decimals}" if int(whole) or not text.startswith("-") else text


def say(text: str, *, nl: bool = True) -> None:
    """Say something on standard error. Where nobody can be told, all goes on, and ends, as it would."""
    with suppress(OSError):
        click.echo(text, err=True, nl=nl)


def count(number: int, noun: str, many: str = "") -> str:
    """A number with its noun, of which ``many`` is the plural where that is not made with an s.

    >>> count(1, "channel"), count(2, "channel"), count(2, "delivery", "deliveries")
    ('1 channel', '2 channels', '2 deliveries')
    """
    return f"{number} {noun if number == 1 else many or noun + 's'}"


_SPANS: Final = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def span(seconds: float) -> str:
    """A length of time in the largest unit of which it has two, or else in seconds.

    >>> span(59), span(90 * 60), span(3600 * 30), span(3650 * 86_400)
    ('59 seconds', '90 minutes', '30 hours', '3650 days')
    """
    size, noun = next((each for each in _SPANS if seconds >= 2 * each[0]), _SPANS[-1])
    return count(round(seconds / size), noun)
