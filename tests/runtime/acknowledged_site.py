"""A hospital that collects messages and claims into files, and whose receivers acknowledge these in files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from file_hospital import drop
from nodes import Hospital
from reactor_tests import pause, until

from bridge.errors import BridgeError
from bridge.journal.collections import Collection, newest_collections
from bridge.journal.quarantine import quarantined
from bridge.runtime.acknowledging import Acknowledging

BATCHES, CLAIMS = "payer.files", "payer.claims"
API = """\
api: {name}
file:
  directory: {out}
  name: "{name}-{{number}}"
  collect: {{{rule}, acknowledged: {{{rules}}}, as: {form}}}
send: original
carries: {{phi: true, financial: true}}
repeat_safety: natural_key
"""
TOLD = """\
api: {name}.told
acknowledges: {name}
send: original
carries: {{phi: true, financial: true}}
repeat_safety: natural_key
retry: {{base: 50ms, cap: 100ms, not_found_for: {not_found_for}}}
"""
CHANNEL = """\
channel: {channel}
source: {{file_drop: {{directory: {folder}, stable_for: 0s, poll: 50ms}}}}
format: {format}
accept: {accept}
on_no_key: {order}
routes:
  - {{route: files, on_poison: quarantine_and_continue, to: {{api: {to}}}}}
"""
ROUTES = "routes:\n  - {route: files, to: {api: payer.files}}\n"
X12 = "{x12: {sender: {id: BRIDGE}, receiver: {id: PAYER}, acknowledge: true}}"


class Site(Hospital):
    """What is sent, what comes back, and what becomes of it."""

    def folder_of(self, channel: str) -> Path:
        """Where a channel takes its files."""
        return self.folder / channel

    def claims(self, name: str, *numbers: int, kind: str = "837") -> None:
        """Drop a file of claims, which the bridge puts into one of its own."""
        drop(self.folder_of("claims"), name, claims(*numbers, kind=kind))

    def told(self, channel: str, name: str, content: bytes) -> None:
        """Drop an acknowledgement."""
        drop(self.folder_of(channel), name, content)

    async def files(self, api: str, count: int) -> list[Collection]:
        """The files of an API, the oldest first, once so many are written."""
        assert self.node is not None
        while True:
            found = await self.node.journal.read(newest_collections, api, 100)
            if sum(each.written_at_us is not None for each in found) >= count:
                return found[::-1]
            await pause(0.02)

    async def file_is(self, api: str, word: str, number: int = 1) -> Collection:
        """A file, once that was said of it."""
        assert self.node is not None
        while True:
            for each in await self.node.journal.read(newest_collections, api, 100):
                if (each.number, each.acknowledged) == (number, word):
                    return each
            await pause(0.02)

    async def in_quarantine(self, count: int) -> list[tuple[str, str]]:
        """API and reason of what waits for a person, once so much does."""
        assert self.node is not None
        while True:
            found = await self.node.journal.read(quarantined)
            if len(found) >= count:
                return [(row["api"], row["reason"]) for row in found]
            await pause(0.02)

    def acknowledging(self, api: str) -> Acknowledging:
        """What waits for its receivers' word."""
        assert self.node is not None
        return self.node.parts.outlets[api].waits.acknowledging

    def written(self, api: str, number: int = 1) -> bytes:
        """A file as its receiver finds it."""
        return (self.folder / "out" / f"{api}-{number}").read_bytes()

    async def taken(self, channel: str, name: str) -> None:
        """Wait until a file was put away."""
        done = self.folder_of(channel) / "done" / name
        await until(done.exists, f"{name} is put away")


@asynccontextmanager
async def acknowledged(
    folder: Path,
    *,
    rule: str = "or_count: 3",
    rules: str = "within: 1h",
    not_found_for: str = "1h",
    start: bool = True,
) -> AsyncIterator[Site]:
    """The site, with its node started."""
    made = Site(folder)
    await made.open(lambda text: text.partition("routes:\n")[0] + ROUTES)
    channels = folder / "site" / "channels"
    (folder / "out").mkdir(exist_ok=True)
    for name, form in ((BATCHES, "{hl7v2_batch: {}}"), (CLAIMS, X12)):
        its = {"name": name, "out": folder / "out", "rule": rule, "form": form}
        of_batch = rules if name == CLAIMS else rules.replace(", by: envelope", "")
        (channels / "apis" / f"{name}.yaml").write_text(API.format(**its, rules=of_batch))
        told = TOLD.format(name=name, not_found_for=not_found_for)
        (channels / "apis" / f"{name}.told.yaml").write_text(told)
    feeds: Sequence[tuple[str, str, str, str]] = (
        ("claims", "x12", "[837, 835]", CLAIMS),
        ("claims-told", "{x12: {ta1: true}}", "[999, TA1]", f"{CLAIMS}.told"),
        ("batches-told", "{hl7v2: {envelopes: true}}", "[ACK]", f"{BATCHES}.told"),
    )
    for channel, form, accept, to in feeds:
        made.folder_of(channel).mkdir(exist_ok=True)
        its = {"channel": channel, "folder": made.folder_of(channel), "format": form}
        its |= {"accept": accept, "to": to, "order": "unordered" if to.endswith("told") else "serial"}
        (channels / f"{channel}.yaml").write_text(CHANNEL.format(**its))
    try:
        if start:
            await made.start()
        yield made
    except BridgeError as error:
        raise AssertionError(str(error)) from error
    finally:
        await made.close()


def _interchange(lines: Sequence[str], number: int = 1) -> bytes:
    isa = f"ISA*00*{' ' * 10}*00*{' ' * 10}*ZZ*{'PAYER':15}*ZZ*{'BRIDGE':15}"
    isa += f"*240102*1200*^*00501*{number:09}*0*P*:"
    return "".join(f"{line}~" for line in [isa, *lines]).encode()


def claims(*numbers: int, kind: str = "837") -> bytes:
    """A file of claims."""
    group = {"837": "HC", "835": "HP"}[kind]
    lines = [f"GS*{group}*ME*YOU*20240102*1200*1*X*005010X222A1"]
    for number in numbers:
        lines += [f"ST*{kind}*{number:04}", f"BHT*0019*00*{number}", f"SE*3*{number:04}"]
    return _interchange([*lines, f"GE*{len(numbers)}*1", "IEA*1*000000001"])


def answer_999(
    group: int, *results: Any, says: str = "A", found: int = 3, number: int = 1, last: str = ""
) -> bytes:
    """A 999 of one group: of each result ST02, IK501 and further segments between AK2 and IK5."""
    lines = ["GS*FA*PAYER*BRIDGE*20240102*1200*1*X*005010X231A1", "ST*999*0001*005010X231A1"]
    lines.append(f"AK1*HC*{group}*005010X222A1")
    for called, word, *more in results:
        lines += [f"AK2*837*{called}", *more, f"IK5*{word}"]
    accepted = found - sum(word[0] == "R" for _, word, *_ in results)
    lines.append(f"AK9*{says}*{found}*{found}*{0 if says == 'R' else accepted}{last}")
    lines += [f"SE*{len(lines)}*0001", "GE*1*1", f"IEA*1*{number:09}"]
    return _interchange(lines, number)


def answer_ta1(control: int, word: str, code: str = "000", number: int = 1) -> bytes:
    """An interchange with a TA1 alone."""
    return _interchange([f"TA1*{control:09}*240102*1200*{word}*{code}", f"IEA*0*{number:09}"], number)


def answers_hl7(*said: tuple[str, str, str], batch: int | None = 1, number: int = 1) -> bytes:
    """A batch of acknowledgements: of each MSA-1, MSA-2 and an ERR."""
    lines = [] if batch is None else [f"BHS|^~\\&|||||||||{number}|{batch}"]
    for count, (word, called, error) in enumerate(said, 1):
        lines.append(f"MSH|^~\\&|PAYER||BRIDGE||20240102||ACK|A{number}-{count}|P|2.5.1")
        lines.append(f"MSA|{word}|{called}")
        lines += [error] if error else []
    if batch is not None:
        lines.append(f"BTS|{len(said)}")
    return "".join(f"{line}\r" for line in lines).encode()
