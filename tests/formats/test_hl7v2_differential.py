"""python-hl7 and our reader over fixtures and generated messages: each difference is of a known kind."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import pytest
from hl7v2_differences import EXPLAINED, differences, escape_kind, page_table
from hl7v2_fixtures import FIXTURES, QUIRKS, WELL_FORMED

from bridge.cli.generated import TYPES, message
from bridge.cli.oddities import odd
from bridge.formats.hl7v2_check import split_messages

SEED = 26
pytestmark = pytest.mark.filterwarnings("ignore:The 'warn' method is deprecated:DeprecationWarning")


def generated(count: int) -> list[bytes]:
    """Messages of every type; every other one odd."""
    kinds = list(TYPES)
    found = []
    for number in range(count):
        body = message(kinds[number % len(kinds)], SEED, number)
        found.append(odd(body, Random(f"{SEED}/{number}"))[0] if number % 2 else body)
    return found


def compared(bodies: list[bytes]) -> tuple[Counter[str], Counter[str], list[str]]:
    """How often each kind was met, in how many messages, and what none explains."""
    values: Counter[str] = Counter()
    messages: Counter[str] = Counter()
    unexplained: list[str] = []
    for number, body in enumerate(bodies):
        kinds, left = differences(body)
        values += kinds
        messages.update(kinds.keys())
        unexplained += [f"{number}: {each}" for each in left]
        unexplained += [f"{number}: {kind}" for kind in kinds if kind not in EXPLAINED]
    return values, messages, unexplained


def test_every_difference_on_fixtures_is_explained() -> None:
    bodies = [path.read_bytes() for path in (*WELL_FORMED, *QUIRKS)]
    values, _, unexplained = compared(bodies)
    assert unexplained == []
    assert set(values) <= set(EXPLAINED)


def test_every_difference_on_generated_messages_is_explained(differential_messages: int) -> None:
    """`-rP --differential-messages 20000` prints the table for so many."""
    values, messages, unexplained = compared(generated(differential_messages))
    assert unexplained == []
    print(f"{differential_messages} messages, {len(unexplained)} differences unexplained")
    for kind, (sent, theirs, ours) in EXPLAINED.items():
        print(f"{kind} | {sent} | {theirs} | {ours} | {values[kind]} in {messages[kind]} messages")


def test_plain_messages_have_no_difference_but_nulls_and_line_breaks() -> None:
    for kind in TYPES:
        for number in range(12):
            kinds, unexplained = differences(message(kind, SEED, number))
            assert (set(kinds) - {"null", "escape .br"}, unexplained) == (set(), [])


def test_a_difference_that_no_kind_explains_is_noticed() -> None:
    assert escape_kind("plain", "\\").startswith("unexplained")
    assert escape_kind("a\\T\\b", "\\").startswith("unexplained")


def test_files_of_samples_are_explained(differential_folder: Path | None) -> None:
    """`--differential-folder DIR` compares all messages in a folder."""
    if differential_folder is None:
        bodies = [path.read_bytes() for path in WELL_FORMED]
    else:
        files = sorted(path for path in differential_folder.rglob("*") if path.is_file())
        bodies = [body for path in files for body in split_messages(path.read_bytes())]
    values, messages, unexplained = compared(bodies)
    print(len(bodies), "messages", dict(messages), dict(values))
    assert unexplained == []


def test_the_page_of_the_fixtures_has_every_kind_of_difference() -> None:
    assert page_table() in (FIXTURES / "README.md").read_text("utf-8")
