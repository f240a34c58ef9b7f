"""Odd messages, many and made at random, with words planted in them: none of these is said anywhere.

`--odd-messages=10000` sends more than the few hundred of an ordinary run.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import aiohttp
from captured_logs import captured_logs
from nodes import entries, hospital
from planted import OWN_COLUMNS, SECRETS, SENDERS_COLUMNS, WORD, Seen, columns, mapped, other
from reactor_tests import in_reactor, until

from bridge.cli.demo import CHANNEL
from bridge.destinations.in_loop import in_loop
from bridge.formats.mllp_framing import frame
from bridge.journal.ledger import ledger
from bridge.journal.tolerances import charsets, tolerated

ROUND_MESSAGES = 250
LAST = mapped("LAST", PID_3=f"{WORD}LAST^^^{WORD}^MR")
PLANTED = WORD.encode()

Odd = Callable[[random.Random, bytes], bytes]
"""A message in its frame, changed."""


def inside(change: Callable[[random.Random, bytes], bytes]) -> Odd:
    return lambda chance, block: frame(change(chance, block[1:-2]))


def overwritten(chance: random.Random, body: bytes) -> bytes:
    """Bytes changed anywhere after MSH-10, so that what names the message stays."""
    made = bytearray(body)
    first = body.index(b"|P|2.5.1")
    for _ in range(chance.randint(1, 20)):
        at = chance.randrange(first, len(made))
        new = chance.choice(
            [b"|", b"^", b"~", b"\\", b"&", b"\r", b"\n", b"\x1b$A", b"\0", b"\xff", b'""', b""]
        )
        made[at : at + chance.randint(0, 3)] = new
    return bytes(made)


def header(chance: random.Random, body: bytes) -> bytes:
    """One field of MSH changed, but for MSH-9 and MSH-10."""
    lines = body.split(b"\r")
    fields = lines[0].split(b"|")
    place = chance.choice([1, 2, 3, 6, 7, 10, 11, 12, 14, 15, 17])
    fields[place] = chance.choice([b"", PLANTED, PLANTED + b"~" + PLANTED, b"8859/1", b"ASCII~ISO IR58"])
    return b"\r".join([b"|".join(fields), *lines[1:]])


ODD: dict[str, Odd] = {
    "as it is": lambda _, block: block,
    "LF": inside(lambda _, body: body.replace(b"\r", b"\n")),
    "CR and LF": inside(lambda _, body: body.replace(b"\r", b"\r\n")),
    "mixed ends": inside(lambda _, body: body.replace(b"\r", b"\n", 3)),
    "no last CR": inside(lambda _, body: body[:-1]),
    "blank lines": inside(lambda _, body: body.replace(b"\r", b"\r\r \r")),
    "cut": inside(lambda chance, body: body[: chance.randrange(len(body))]),
    "overwritten": inside(overwritten),
    "header": inside(header),
    "no segment name": inside(lambda _, body: body.replace(b"\rPID|", b"\r" + PLANTED + b"|")),
    "two messages": inside(lambda _, body: body + body.replace(b"|C", b"|D", 1)),
    "batch": inside(lambda _, body: b"FHS|^~\\&|" + PLANTED + b"\r" + body),
    "UTF-16": inside(lambda _, body: body.decode().encode("utf-16")),
    "other delimiters": inside(lambda _, body: body.replace(b"|", b"#").replace(b"^", b"*")),
    "wrong delimiters": inside(lambda _, body: body.replace(b"^~\\&", b"^^^^", 1)),
    "not UTF-8": inside(lambda _, body: body.replace(PLANTED, PLANTED + b"\xe9", 5)),
    "escapes": inside(lambda _, body: body.replace(PLANTED, PLANTED + b"\\Z" + PLANTED + b"\\\\", 9)),
    "no MSH": inside(lambda _, body: body.split(b"\r", 1)[1]),
    "text": inside(lambda _, body: PLANTED * 3),
    "junk before": lambda _, block: PLANTED + b"\0" + block,
    "no CR after": lambda _, block: block[:-1],
    "begun twice": lambda chance, block: block[: chance.randrange(1, len(block) - 2)] + block,
    "too large": inside(lambda _, body: body + b"NTE|1||" + PLANTED * 160_000 + b"\r"),
}


def odd_blocks(chance: random.Random) -> list[bytes]:
    """Each kind at least once."""
    made = []
    for number in range(ROUND_MESSAGES - 1):
        kind = list(ODD)[number] if number < len(ODD) else chance.choice(list(ODD))
        if kind == "too large" and number >= len(ODD):
            kind = "overwritten"
        block = frame(mapped(f"C{number}", **other(number)))
        made.append(ODD[kind](chance, block))
    return made


async def send(port: int, blocks: list[bytes]) -> None:
    """Send all on one connection, reading what is answered, until the last one is."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def hear() -> None:
        said = b""
        while b"|LAST\r" not in said:
            data = await reader.read(65536)
            assert data, "the connection was closed"
            said = said[-100:] + data

    hearing = asyncio.ensure_future(hear())
    for block in [*blocks, frame(LAST)]:
        writer.write(block)
        await writer.drain()
    await asyncio.wait_for(hearing, 25)
    writer.close()
    await writer.wait_closed()


async def page(port: int, name: str) -> str:
    url = f"http://127.0.0.1:{port}/{name}"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return await response.text()


@in_reactor
async def test_what_odd_messages_hold_is_said_nowhere(tmp_path: Path, odd_round: int) -> None:
    seen = Seen()

    def small(channel: str) -> str:
        changed = channel.replace('interface=127.0.0.1"', 'interface=127.0.0.1", max_block: 1MiB')
        return changed.replace("otherwise: reject", "otherwise: reject\nprocessing_ids: [P]")

    with captured_logs() as logs:
        async with hospital(tmp_path, small) as site:
            assert site.node is not None
            addresses = site.node.addresses()
            await in_loop(send(addresses[CHANNEL], odd_blocks(random.Random(odd_round))))
            # What has the key of one that is stuck waits with it; all else has been before the last.
            await until(lambda: any("LAST" in each.path for each in site.patients.applied), "all are through")
            counts = await site.node.journal.read(ledger)
            assert counts.balanced
            assert counts.received[CHANNEL] >= ROUND_MESSAGES
            for name in ("metrics", "readyz"):
                seen.texts[name] = await in_loop(page(addresses["admin"], name))
            noticed = (await site.node.journal.read(tolerated))[CHANNEL]
            seen.texts["tolerated"] = str(noticed)
            seen.texts["charsets"] = str(await site.node.journal.read(charsets))
            with site.node.journal.database.reader.begin() as connection:
                held = dict(columns(connection))
        seen.texts["logs"] = logs.getvalue()
    seen.texts |= {
        f"column {table}.{name}": said
        for (table, name), said in held.items()
        if name not in OWN_COLUMNS and (table, name) not in SENDERS_COLUMNS
    }
    assert seen.hits(SECRETS) == []
    # The trouble was real, and the search finds what is there.
    assert {"lf-line-ends", "bytes-before-block", "no-return-after-block", "blank-line"} <= noticed.keys()
    assert {"delivered", "quarantined", "refused"} <= entries(counts).keys()
    assert "refused" in seen.texts["logs"]
    assert Seen({"bodies": held["bodies", "body"]}).hits(SECRETS) != []
