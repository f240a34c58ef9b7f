"""``bridge capture``: listen, and write down what senders really send."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bridge.cli.main import DONE
from bridge.units import parse_duration

WRITTEN_MAX_BYTES = 1024**3
"""What comes after so much has been written is only counted."""


@click.command("capture")
@click.argument("listen", metavar="ENDPOINT")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--answer",
    default="AA",
    show_default=True,
    metavar="AA|none|FILE",
    help="AA to each message, nothing, or the acknowledgements in a file, one after the other.",
)
@click.option("--mask", is_flag=True, help="Write no content: shapes, lengths and MSH only.")
@click.option(
    "--framing",
    type=click.Choice(["mllp", "none"]),
    default="mllp",
    show_default=True,
    help="How messages stand on the connection.",
)
@click.option("--messages", "most", type=click.IntRange(1), help="End after so many.")
@click.option("--for", "lasts", default="1h", show_default=True, metavar="DURATION", help="End after this.")
@click.option(
    "--ready-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Written once it listens, with its port as JSON.",
)
def capture_command(
    listen: str, folder: Path, *, answer: str, mask: bool, framing: str, most: int | None, lasts: str,
    ready_file: Path | None,
) -> int:  # fmt: skip
    """Listen, and write down what senders really send.

    FOLDER, which must be new, gets each message in a file of its own, all bytes of each connection as they
    came, and `events.jsonl`: what happened when, in which pieces bytes came, what a channel would have
    tolerated, and how each message reads. At most 1 GiB is written. Only its owner can read it. With --mask
    it holds no content but that of MSH. Nothing is journaled: what is answered AA is in FOLDER and nowhere
    else, so take no feed with it that anybody needs.

    \b
    bridge capture tcp:2575 first-look --mask --for 10m
    bridge capture tcp:2575:interface=127.0.0.1 drill --answer none
    """
    from bridge.cli import reactor
    from bridge.cli.capturing import Capture, Limits
    from bridge.transports.mllp_options import MllpOptions

    try:
        options = MllpOptions.model_validate({"listen": listen, "framing": framing})
        limits = Limits(most, parse_duration(lasts), WRITTEN_MAX_BYTES)
    except ValueError as error:
        words = str(error).strip().partition("\n")[0]
        text = "expected tcp:PORT or tcp:PORT:interface=ADDRESS" if "MllpOptions" in words else words
        raise click.UsageError(text) from None
    answers = _answers(answer)
    try:
        folder.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise click.BadParameter(f"{folder}: {error.strerror}; name a new one", param_hint="FOLDER") from None
    capture = Capture(folder, options, answers, limits, mask=mask)
    found = reactor.run(lambda *arguments: _run(capture, ready_file, *arguments))
    click.echo(f"{folder}: {found}", err=True)
    return DONE


def _answers(answer: str) -> tuple[bytes, ...] | None:
    """What is said: None for AA, nothing for silence."""
    if answer == "AA":
        return None
    if answer == "none":
        return ()
    from bridge.cli.author import read_file
    from bridge.formats.hl7v2_check import split_messages

    found = tuple(split_messages(read_file(Path(answer))))
    if not found:
        raise click.BadParameter(f"{answer}: no acknowledgement in it", param_hint="--answer")
    return found


async def _run(capture: Any, ready_file: Path | None, the_reactor: Any, told_to_stop: Any) -> str:
    import json

    port = await capture.start(the_reactor)
    click.echo(f"listening on port {port}", err=True)
    if ready_file is not None:
        partial = ready_file.with_name(ready_file.name + ".partial")
        partial.write_text(json.dumps({"port": port}))
        partial.replace(ready_file)
    return str(await capture.until(told_to_stop))
