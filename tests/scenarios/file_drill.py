"""A hospital of processes whose channel takes files: what is dropped, what two APIs saw, and what lies
where."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from databases import journal_url
from drill import CHANNEL, DrillApi, by_patient, drained_at, until
from sqlalchemy import func, select

from bridge.cli.demo_site import write_site
from bridge.cli.processes import BridgeProcess
from bridge.cli.synthetic import Synthetic, admissions
from bridge.journal.database import Database
from bridge.journal.file_schema import taken_files
from bridge.journal.ledger import Ledger

PATIENTS, MESSAGES_OF_FILE = 20, 2


class Dropper(threading.Thread):
    """A batch job: writes files piece by piece under their own names, and a marker when one is whole."""

    def __init__(self, folder: Path, files: int, rest_s: float) -> None:
        super().__init__(daemon=True)
        self._folder, self._rest_s = folder, rest_s
        steps = -(-files * MESSAGES_OF_FILE // PATIENTS)
        messages = list(admissions(PATIENTS, prefix="F", steps=steps))[: files * MESSAGES_OF_FILE]
        self.files = [
            messages[start : start + MESSAGES_OF_FILE] for start in range(0, len(messages), MESSAGES_OF_FILE)
        ]

    def run(self) -> None:
        for number, messages in enumerate(self.files, 1):
            name = f"adt-{number:05}.hl7"
            with (self._folder / name).open("wb", buffering=0) as file:
                for message in messages:
                    file.write(message.body[:100])
                    time.sleep(self._rest_s)
                    file.write(message.body[100:])
            (self._folder / f"adt-{number:05}.OK").touch()

    @property
    def steps(self) -> dict[str, list[int]]:
        """By patient, the steps that were sent, in order."""
        sent: Sequence[Synthetic] = [message for file in self.files for message in file]
        return by_patient((message.patient, message.step) for message in sent)


class FileDrill:
    """One or several nodes on one folder, and two APIs; used as a context, which ends all of them."""

    def __init__(
        self,
        folder: Path,
        *,
        nodes: int = 1,
        options: str = "finished: marker, poll: 100ms",
        source: str | None = None,
        mark: str = "bed",
        prepare: Callable[[Path, Path], None] | None = None,
    ) -> None:
        """``source`` is what the channel takes from, where that is not the folder ``incoming`` itself.

        ``prepare`` may write other files of a site, whose files come from the second folder it is given.
        ``mark`` is the field by which the second API notes what it was sent.
        """
        self.incoming = folder / "incoming"
        self.incoming.mkdir(exist_ok=True)
        self.patients = DrillApi(folder, "patients", "line1")
        self.encounters = DrillApi(folder, "encounters", mark)
        self._sites: list[Path] = []
        self.urls: list[str] = []
        self._logs: list[Path] = []
        for number in range(nodes):
            home = folder / f"node{number}"
            home.mkdir()
            site = write_site(
                home / "site", patients_url=self.patients.url, encounters_url=self.encounters.url
            )
            channel = site / "channels" / f"{CHANNEL}.yaml"
            takes = source or f"file_drop: {{directory: {self.incoming}, {options}}}"
            channel.write_text(re.sub(r"  mllp: .*\n", f"  {takes}\n", channel.read_text()))
            if prepare is not None:
                prepare(site, self.incoming)
            self._sites.append(site)
            self.urls.append(journal_url(home))
            self._logs.append(home / "node.log")
        self._nodes: list[BridgeProcess | None] = [None] * nodes

    def __enter__(self) -> FileDrill:
        for api in (self.patients, self.encounters):
            api.start()
        for number in range(len(self._nodes)):
            self.start(number)
        return self

    def __exit__(self, *_: object) -> None:
        for node in self._nodes:
            if node is not None:
                node.kill()
        for api in (self.patients, self.encounters):
            api.stop()

    def start(self, number: int = 0) -> None:
        self._nodes[number] = BridgeProcess(self._sites[number], self.urls[number], self._logs[number])

    def kill(self, number: int = 0) -> None:
        """`kill -9`, and start again."""
        node = self._nodes[number]
        assert node is not None
        node.kill()
        self.start(number)

    def ended(self, files: int, *, at_most_s: float = 60.0, pattern: str = "*.hl7") -> list[Ledger]:
        """The ledgers once all files are put away, nothing is open, and the nodes have ended in order."""
        done = self.incoming / "done"
        until(
            lambda: sum(1 for _ in done.glob(pattern)) >= files,
            f"{files} files are put away",
            at_most_s=at_most_s,
        )
        found = [drained_at(url, at_most_s=at_most_s) for url in self.urls]
        for number, node in enumerate(self._nodes):
            assert node is not None
            self._nodes[number] = None
            assert node.stop() == 0
        return found

    def left(self) -> list[str]:
        """All that lies where files come in, but for what is done with."""
        below = (str(path.relative_to(self.incoming)) for path in self.incoming.rglob("*") if path.is_file())
        return sorted(name for name in below if not name.startswith("done/"))

    def files(self) -> list[tuple[str, str]]:
        """Name and state of each file that was taken, over all journals."""
        found: list[tuple[str, str]] = []
        for url in self.urls:
            database = Database(url)
            try:
                with database.reader.begin() as connection:
                    rows = connection.execute(select(taken_files.c.name, taken_files.c.state))
                    found += [(row.name, row.state) for row in rows]
            finally:
                database.close()
        return sorted(found)


def unsettled(url: str) -> int:
    """How many files of a journal are not put away."""
    database = Database(url)
    try:
        with database.reader.begin() as connection:
            query = select(func.count()).select_from(taken_files).where(taken_files.c.settled == 0)
            return connection.execute(query).scalar_one()
    finally:
        database.close()
