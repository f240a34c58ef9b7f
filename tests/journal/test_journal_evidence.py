"""Evidence of a journal: whatever time is asked for, it verifies by itself, also when rows are gone."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from journals import NOW_US, journal_in
from reactor_tests import in_reactor
from test_journal_chain import DAY_US, SIGNER, delivered, sealed

from bridge.audit.notes import Signer
from bridge.evidence.sections import opened, values, written
from bridge.evidence.verifying import Verified, verified
from bridge.journal.actions import NOTE, ActionRow
from bridge.journal.evidence import NothingToShow, evidence_of
from bridge.journal.journal import Journal
from bridge.journal.retention import RETIRE, Retire

pytestmark = pytest.mark.both_databases

OTHER = Signer("hospital-north/newer", bytes(range(1, 33)))


async def evidence(
    journal: Journal, since_us: int, until_us: int, signer: Signer = SIGNER
) -> tuple[bytes, Verified]:
    """The file of a time, and what its verification says."""

    def made(connection: Any) -> bytes:
        return b"".join(written(evidence_of(connection, signer, since_us, until_us, NOW_US), signer))

    content = await journal.read(made)
    found = opened(io.BytesIO(content).readlines(), signer.verifier)

    def section(name: str) -> Iterator[Any]:
        lines = io.BytesIO(content)
        lines.seek(found.offsets.get(name, len(content)))
        return values(lines, name)

    return content, verified(found, section, signer.verifier)


async def look(journal: Journal, at_us: int) -> None:
    await journal.submit(NOTE, ActionRow(at_us, "user:kim", "reveal", "message 1", "ticket 4711"))


@in_reactor
async def test_evidence_reaches_from_the_checkpoint_before_to_the_one_after(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await delivered(journal, 3)  # commits 1 to 4
        await sealed(journal)
        await look(journal, NOW_US + DAY_US)  # commit 5
        await sealed(journal)
        await look(journal, NOW_US + 2 * DAY_US)
        await look(journal, NOW_US + 3 * DAY_US)  # commits 6 and 7, which nobody has signed
        for since, until, commits, checkpoints in (
            (0, 1, 4, 1),
            (1, 2, 1, 2),
            (1, 3, 2, 3),
            (2, 9, 2, 2),
            (0, 9, 7, 3),
        ):
            _, result = await evidence(journal, NOW_US + since * DAY_US, NOW_US + until * DAY_US)
            assert result.problems == ()
            found = (result.counts["commit"], result.counts["checkpoint"])
            assert found == (commits, checkpoints), (since, until)
        with pytest.raises(NothingToShow, match="no row in this time"):
            await evidence(journal, NOW_US + 20 * DAY_US, NOW_US + 21 * DAY_US)


@in_reactor
async def test_checkpoints_of_nobody_and_of_a_key_that_was_replaced_are_signed_anew(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await delivered(journal, 2)
        await sealed(journal, None)
        await delivered(journal, 2, first=10)
        await sealed(journal)
        await look(journal, NOW_US + DAY_US)
        _, result = await evidence(journal, NOW_US, NOW_US + 9 * DAY_US, OTHER)
        assert result.problems == ()
        assert result.counts["checkpoint"] == 3


@in_reactor
async def test_what_retention_has_deleted_is_told_and_nothing_else_may_be_missing(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await delivered(journal, 6)
        await delivered(journal, 1, first=10)
        await sealed(journal)
        gone = Retire("messages", "adt", (1, 2, 3, 4), NOW_US + DAY_US, NOW_US + DAY_US)
        assert await journal.submit(RETIRE, gone) == 4
        content, result = await evidence(journal, NOW_US, NOW_US + 1000)
        assert result.problems == ()
        assert result.counts["step"] == 3 * 5
        _, later = await evidence(journal, NOW_US, NOW_US + 9 * DAY_US)
        assert later.problems == ()
        assert later.counts["disclosure"] == 4
        assert b"body " not in content
