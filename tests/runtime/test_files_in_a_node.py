"""Files of a folder become delivered calls, each once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from file_hospital import drop, file_hospital, file_row, left_in, some, whole
from nodes import entries
from reactor_tests import in_reactor, until

from bridge.delivery.files import FileState

pytestmark = pytest.mark.both_databases


@in_reactor
async def test_messages_of_a_file_are_delivered_and_the_file_is_put_away(tmp_path: Path) -> None:
    async with file_hospital(tmp_path) as (made, folder):
        messages = some(3)
        drop(folder, "adt.hl7", whole(messages))
        await until(lambda: left_in(folder) == ["done/adt.hl7"], "the file is put away")
        found = entries(await made.settled())
        assert found["delivered"] == 3
        assert (folder / "done" / "adt.hl7").read_bytes() == whole(messages)
        file = await file_row(made, 1)
        assert file is not None
        assert (file.state, file.messages, file.name) == (FileState.SPLIT, 3, "adt.hl7")


@in_reactor
async def test_a_file_that_comes_again_is_refused_and_told_why(tmp_path: Path) -> None:
    async with file_hospital(tmp_path) as (made, folder):
        content = whole(some(2))
        drop(folder, "adt.hl7", content)
        await until((folder / "done" / "adt.hl7").exists, "the first is put away")
        drop(folder, "adt.hl7", content)
        await until((folder / "errors" / "adt.hl7").exists, "the second is refused")
        told = json.loads((folder / "errors" / "adt.hl7.reason.json").read_text())
        assert (told["reason"], told["number"]) == ("sent-before", 2)
        assert entries(await made.settled())["delivered"] == 2
