"""What is said beside click's words where a command was given wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import bridge_process


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("map", "check"), "there are: coverage, docs,"),
        (("journal", "statu"), "there are: backup, compact,"),
        (("audit", "verfy"), "Did you mean 'verify'?"),
        (("check", "site"), "named by an option: --config site"),
        (("run", "site"), "named by an option: --config site"),
        (("check", "nowhere"), "unexpected extra argument (nowhere)"),
    ],
)
def test_a_wrong_word_is_told_with_what_there_is(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "site").mkdir()
    ended = bridge_process(*arguments, cwd=tmp_path)
    assert (ended.status, said in ended.err, ended.out) == (2, True, ""), ended.err
    assert "nowhere" not in arguments or "--config" not in ended.err
