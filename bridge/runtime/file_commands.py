"""What a person decides about files that the journal has."""

from __future__ import annotations

from collections.abc import Sequence

from bridge.delivery.files import FILE_ARROWS, FileState
from bridge.formats.acknowledged import Word
from bridge.journal.actions import NOTE, ActionRow
from bridge.journal.spool import GONE
from bridge.journal.taken_files import END_FILE, FileStep, TakenFile, file_of_id
from bridge.located import did_you_mean
from bridge.runtime.file_intake import FileIntake
from bridge.runtime.parts import Parts
from bridge.runtime.refused import Refused, Said, wanted_reason


async def decide_about_files(
    parts: Parts, file_ids: Sequence[int], actor: str, reason: str, *, discard: bool
) -> tuple[list[str], str]:
    """Take files once more, or let them end; what was done, a line for each, and why it went no further.

    Raises JournalUnavailable.
    """
    done: list[str] = []
    for file_id in file_ids:
        file = await parts.journal.read(file_of_id, file_id)
        if file is None:
            return done, f"there is no file {file_id}; `bridge files list` shows what there is"
        after = FileState.DISCARDED if discard else FileState.TAKEN
        if (file.state, after) not in FILE_ARROWS:
            return done, f"file {file_id} is {file.state}: it cannot become {after}"
        action = "discard-file" if discard else "take-file"
        row = ActionRow(parts.world.now_us(), actor, action, f"file {file_id}", reason)
        if discard:
            await parts.journal.submit(NOTE, row)
            now_us = parts.world.now_us()
            step = FileStep(file_id, after, file.reason, now_us, file.place, actor=actor)
            await parts.journal.submit(END_FILE, step)
            done.append(f"file {file_id} is discarded: nothing of it goes on")
            continue
        line, refused = await _take(parts, file, actor, row)
        if refused:
            return done, refused
        done.append(line)
    return done, ""


async def settle_file(parts: Parts, actor: str, arguments: Said) -> Said:
    """Say what the receiver of a file has said of it otherwise. Raises Refused, JournalUnavailable."""
    api, number, word = (arguments.get(name) for name in ("api", "number", "word"))
    if not isinstance(number, int) or word not in ("A", "R"):
        raise Refused("name a file by its number, and what became of it", 2)
    outlet = parts.outlets.get(str(api))
    if outlet is None:
        hint = did_you_mean(str(api), parts.outlets) or "`bridge batches --sent` lists them"
        raise Refused(f"there is no API {str(api)!r}; {hint}", 2)
    reason = wanted_reason(arguments)
    if not await outlet.waits.acknowledging.awaits(number):
        raise Refused(f"no file {number} of {api} is awaited; `bridge batches --sent` lists them")
    action = "accept-file" if word == "A" else "reject-file"
    row = ActionRow(parts.world.now_us(), actor, action, f"file {number} of {api}", reason)
    await parts.journal.submit(NOTE, row)
    return {"done": [await outlet.waits.acknowledging.settle(number, Word(word), "said by a person")]}


async def _take(parts: Parts, file: TakenFile, actor: str, row: ActionRow) -> tuple[str, str]:
    intake = parts.intakes.get(file.channel)
    if not isinstance(intake, FileIntake):
        return "", f"file {file.file_id} is of {file.channel}, which takes no files now"
    if file.kept == GONE:
        return "", f"the bytes of file {file.file_id} are not kept any more: ask its sender for it"
    await parts.journal.submit(NOTE, row)
    fate = await intake.again(file.file_id, actor)
    if fate is None or not fate.good:
        why = "" if fate is None else f"{fate.reason} {fate.place}".strip()
        return "", f"file {file.file_id} cannot be taken apart: {why}"
    return f"file {file.file_id}: {fate.messages} messages taken in", ""
