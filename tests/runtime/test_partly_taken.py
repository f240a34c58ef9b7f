"""What has come of files is kept for a few of them, and is another's of none."""

from __future__ import annotations

from typing import Any, cast

from bridge.runtime.partly_taken import FILES_MAX_COUNT, Partly, PartlyTaken


class Growing:
    """The bytes of a file so far, as far as is asked here."""

    abandoned = False

    def abandon(self) -> None:
        self.abandoned = True


def some() -> PartlyTaken:
    return PartlyTaken(lambda: Partly(cast("Any", Growing()), None))


def test_what_has_come_of_a_file_is_kept_while_others_are_taken() -> None:
    taken = some()
    first = taken.of(("a", "1"))
    for number in range(FILES_MAX_COUNT * 2):
        taken.of((f"b{number}", "1"))
        taken.done((f"b{number}", "1"))
    assert taken.of(("a", "1")) is first
    assert taken.of(("a", "2")) is not first, "another file of its name is another"


def test_of_too_many_the_oldest_begins_anew() -> None:
    taken = some()
    first, *others = [taken.of((name, "1")) for name in map(str, range(FILES_MAX_COUNT + 1))]
    assert [each.growing.abandoned for each in (first, *others)] == [True] + [False] * FILES_MAX_COUNT  # type: ignore[attr-defined]
    assert taken.of(("0", "1")) is not first


def test_what_is_given_up_leaves_nothing() -> None:
    taken = some()
    first = taken.of(("a", "1"))
    taken.give_up(("a", "1"))
    taken.give_up(("a", "1"))
    assert first.growing.abandoned  # type: ignore[attr-defined]
    assert taken.of(("a", "1")) is not first
