"""A log that nobody can write costs its lines, and no message, no answer and no next try."""

from __future__ import annotations

import errno
from io import StringIO
from pathlib import Path

from captured_logs import captured_logs
from lane_messages import message
from nodes import entries, hospital
from reactor_tests import in_reactor

from bridge.cli.fake_api import Fault
from bridge.cli.synthetic import admission
from bridge.journal.controls import Control


class _Full(StringIO):
    """Its disk has no room."""

    def __init__(self) -> None:
        super().__init__()
        self.tried = 0

    def flush(self) -> None:
        self.tried += 1
        raise OSError(errno.ENOSPC, "No space left on device")


@in_reactor
async def test_senders_are_answered_and_what_failed_is_tried_again_without_a_log(tmp_path: Path) -> None:
    log = _Full()
    with captured_logs(log):
        async with hospital(tmp_path) as site:
            assert site.node is not None
            site.patients.plant(Fault("status", status=503, times=3))
            paused = Control("api", "ehr.encounters", False, None, 0, "user:anna", "to see")
            await site.node.traffic.pause(paused)
            wrong = admission(9, 1, "A60", control_id="WRONG")
            answers = await site.send(message(1, 1), wrong, message(2, 1))
            assert [answer.code for answer in answers] == ["AA", "AR", "AA"]
            await site.node.traffic.resume(paused)
            assert entries(await site.settled()) == {"delivered": 2, "refused": 1}
    assert log.tried > 5, "the log was full: this shows something"
