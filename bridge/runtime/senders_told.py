"""Senders of files are told what was taken of them, each once, with the same bytes whatever crashes."""

from __future__ import annotations

from typing import Any

import structlog

from bridge.errors import JournalUnavailable, SpoolDamaged
from bridge.formats.base import Unsplittable
from bridge.journal.file_answers import MADE_ANSWER, PUT_ANSWER, MadeAnswer, PutAnswer, next_owed
from bridge.journal.journal import Journal
from bridge.journal.taken_files import chunks_of, file_of_id
from bridge.runtime.answers_to_files import Answering, NoAnswer, answering
from bridge.runtime.file_messages import FileMessages
from bridge.runtime.surroundings import Surroundings
from bridge.transports.base import Telling

log = structlog.get_logger("bridge.files")


class SendersTold:
    """What is owed to the senders of one channel's files."""

    def __init__(self, journal: Journal, world: Surroundings) -> None:
        self._journal, self._world = journal, world

    async def next(self, channel: str, messages: FileMessages) -> Telling | None:
        """The next that can be told; None where there is none."""
        try:
            owed = await self._journal.read(next_owed, channel)
            if owed is None:
                return None
            at_us = owed.made_at_us or self._world.now_us()
            try:
                made = await self._journal.read(_made, owed.file_id, at_us, messages)
            except (NoAnswer, Unsplittable, SpoolDamaged) as why:
                log.warning("sender-not-told", channel=channel, file=owed.file_id, reason=str(why))
                await self._journal.submit(PUT_ANSWER, PutAnswer(owed.file_id, at_us))
                return Telling(owed.file_id, ())
            note = MadeAnswer(owed.file_id, at_us, made.taken, made.rejected)
            await self._journal.submit(MADE_ANSWER, note)
        except JournalUnavailable as error:
            log.error("journal-unavailable", channel=channel, reason=str(error))
            return None
        files: list[Any] = [("rejects", each.name, each.content) for each in made.rejects]
        if made.answer is not None:
            files.append(("answer", made.answer.name, made.answer.content))
        return Telling(owed.file_id, tuple(files))

    async def done(self, file_id: int) -> None:
        """Note that a sender was told."""
        try:
            await self._journal.submit(PUT_ANSWER, PutAnswer(file_id, self._world.now_us()))
        except JournalUnavailable as error:
            log.error("journal-unavailable", file=file_id, reason=str(error))
        else:
            log.info("sender-told", file=file_id)


def _made(connection: Any, file_id: int, at_us: int, messages: FileMessages) -> Answering:
    file = file_of_id(connection, file_id)
    assert file is not None
    chunks = chunks_of(connection, file_id)
    return answering(
        connection, file_id, at_us, messages.format, lambda entry: messages.opened(file.kept, chunks, entry)
    )
