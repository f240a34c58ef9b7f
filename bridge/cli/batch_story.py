"""A night of files, with processes of its own: what runs, what senders drop, and what became of it."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from urllib.parse import unquote

import click

from bridge.cli.batch_site import ENVIRONMENT, FOLDERS, LEDGER, SITE, write_examples
from bridge.cli.generated_files import lines_of
from bridge.cli.main import bridge
from bridge.cli.processes import BridgeProcess, Process
from bridge.cli.reading import read
from bridge.errors import PeerUnavailable
from bridge.journal.ledger import Ledger, ledger
from bridge.journal.taken_files import TakenFile, newest_files

WAIT_MAX_S = 300.0
LOOK_EVERY_S = 0.05
KINDS = {
    "nightly-charges": "charges",
    "remittances": "835",
    "stock-used": "consumption",
    "lab-batches": "results",
}
"""What `bridge generate` calls the files of each channel."""
REPORT = "posted.csv"
"""What the billing system says that it has."""
FORGOTTEN = 3
"""Charges that the first file of the day lacks."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call that the APIs applied: to which path, under which key, and the amount of its body."""

    path: str
    idempotency_key: str
    mark: str


@dataclass(slots=True)
class BatchStory:
    """Everything that runs. `start` it, drop files into its folders, and `stop` it."""

    folder: Path
    records: int
    day: date = field(default_factory=date.today)
    api: Process | None = None
    bridge: BridgeProcess | None = None
    site: Path = Path()
    url: str = ""
    """Where the APIs are."""
    kills: int = 0

    @property
    def journal(self) -> str:
        """Its URL."""
        return f"sqlite:///{self.folder / 'journal.db'}"

    # What runs.

    def start(self) -> None:
        """Start the APIs, which are one process, and the bridge."""
        self.api = Process("bridge.cli.fake_api", f"--log={self.folder / 'calls.jsonl'}", "--mark=amount")
        self.url = self.api.line()
        self.site = write_examples(self.folder, url=self.url, charges_of_a_file=self.records + FORGOTTEN)
        self._start_bridge()

    def _start_bridge(self) -> None:
        self.bridge = BridgeProcess(
            self.site, self.journal, self.folder / "bridge.log", f"--environment={ENVIRONMENT}"
        )

    def kill(self) -> None:
        """`kill -9` the bridge, and start it again."""
        assert self.bridge is not None
        self.bridge.kill()
        self.kills += 1
        self._start_bridge()

    def stop(self) -> None:
        """End all that runs."""
        for process in (self.bridge, self.api):
            if process is not None:
                process.stop()

    # What senders do.

    def content(self, channel: str, count: int, seed: int = 1) -> bytes:
        """A file for a channel with so many entries, as `bridge generate` makes it."""
        return b"".join(lines_of(KINDS[channel], seed, count, self.day))

    def drop(self, channel: str, name: str, content: bytes) -> Path:
        """Put a file where a channel looks for it: hidden while it is written, then renamed."""
        target = self.folder / FOLDERS[channel] / name
        hidden = target.with_name(f".{name}.tmp")
        hidden.write_bytes(content)
        return hidden.rename(target)

    # What is seen.

    def wait(self, until: Callable[[], bool], what: str) -> None:
        """Wait for something to be so. Raises PeerUnavailable where it does not come."""
        give_up_s = time.monotonic() + WAIT_MAX_S
        while not until():
            if time.monotonic() > give_up_s:
                raise PeerUnavailable(f"waited in vain for {what}")
            time.sleep(LOOK_EVERY_S)

    def files(self) -> list[TakenFile]:
        """What was taken, the first one first."""
        return read(self.journal, newest_files, channel=None, state=None, limit=1000)[::-1]

    def file(self, name: str) -> TakenFile:
        """The newest file of a name, once it is known what it is."""
        found: list[TakenFile] = []

        def is_known() -> bool:
            found[:] = [each for each in self.files() if each.name == name and each.state != "TAKEN"]
            return bool(found)

        self.wait(is_known, f"{name} to be taken")
        return found[-1]

    def put_away(self, channel: str, name: str) -> None:
        """Wait until a file lies where it belongs: it was taken, or could not be."""
        place = self.folder / FOLDERS[channel]
        self.wait(
            lambda: any((place / below / name).exists() for below in ("done", "errors")),
            f"{name} to be put away",
        )

    def ledger(self) -> Ledger:
        """What became of all that came."""
        return read(self.journal, ledger)

    def settled(self, *, but_for: int = 0) -> Ledger:
        """The ledger once nothing is open but what waits for its file."""
        counts = [self.ledger()]

        def is_settled() -> bool:
            counts[0] = self.ledger()
            return sum(each["open"] for each in counts[0].channels.values()) == but_for

        self.wait(is_settled, "all to be delivered")
        return counts[0]

    def calls(self) -> list[Call]:
        """What the APIs have applied, in order."""
        log = self.folder / "calls.jsonl"
        lines = log.read_text("utf-8").splitlines() if log.exists() else []
        rows = (json.loads(line) for line in lines)
        return [Call(row["path"], row["idempotency_key"], row["mark"]) for row in rows]

    def written(self) -> list[Path]:
        """The files for the ledger."""
        return sorted((self.folder / LEDGER).glob("*.csv"))

    def say(self, *words: str) -> int:
        """Show a command as a person types it, and let it say what it says. Its exit status."""
        click.secho(f"$ bridge {shown(words)}", bold=True)
        return self._run(words)

    def asked(self, *words: str) -> str:
        """What a command says, which is not shown."""
        said = io.StringIO()
        with redirect_stdout(said):
            self._run(words)
        return said.getvalue()

    def _run(self, words: Sequence[str]) -> int:
        # Files are named as one who stands in the chapter's folder does.
        words = [str(self.folder / each) if each in (REPORT, SITE) else each for each in words]
        status: int = bridge.main([*words, "--journal", self.journal], standalone_mode=False)
        return status

    def report(self, lines: Iterable[Call]) -> None:
        """What the billing system says that it has posted, as CSV."""
        path = self.folder / REPORT
        with path.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(["charge", "posted"])
            table.writerows((unquote(call.path.rpartition("/")[2]), call.mark) for call in lines)


def shown(words: Iterable[str]) -> str:
    """Words as a shell takes them; those of a sentence stand in quotes."""
    return " ".join(f'"{each}"' if " " in each else each for each in words)


def total(amounts: Iterable[str]) -> Decimal:
    """The sum of amounts as they are written."""
    return sum(map(Decimal, amounts), Decimal(0))
