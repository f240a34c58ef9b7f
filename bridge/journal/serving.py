"""The process that writes a journal: the other end of `places.InProcess`."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from bridge.journal.committing import Committer
from bridge.journal.database import Database, told
from bridge.journal.frames import framed, received
from bridge.journal.opening import open_to_write
from bridge.journal.places import HURRY
from bridge.units import SecretRef


def serve(
    line: socket.socket,
    secret: Callable[[SecretRef], str],
    random_bytes: Callable[[int], bytes],
    seconds: Callable[[], float],
    begun: Callable[[], object],
) -> None:
    """Open the journal that the node at the other end names, and write what it sends, until it closes the
    line or is gone. ``begun`` is called once, before the first batch."""
    batches = received(line)
    opening = next(batches, None)
    if opening is None:
        return

    def tell(word: str, *what: Any) -> None:
        line.sendall(framed((word, *what)))

    hurry = False

    def closing(wait_s: float) -> bool:
        # No batch comes before the one before it has ended, so what comes now says that the bridge ends.
        return hurry or bool(select.select([line], [], [], wait_s)[0])

    try:
        database = Database(
            opening.url,
            create=True,
            state=opening.state,
            secret=secret,
            keys=opening.keys,
            random_bytes=random_bytes,
        )
        ownership = open_to_write(database, random_bytes, opening.kept_files, opening.at_us)
        with told(database):
            committer = Committer(database, ownership, seconds, tell, closing)
    except Exception as refused:  # noqa: BLE001 - it is the node's to tell
        line.sendall(framed(refused))
        return
    begun()
    line.sendall(framed(True))
    with suppress(BrokenPipeError):  # the node is gone, and hears nothing more
        for batch in batches:
            if batch == HURRY:
                hurry = True
            else:
                committer.write(batch)
    ownership.release()
    database.close()
