"""The demonstration's second chapter: a live route moves from an old engine to the bridge, and once back."""

from __future__ import annotations

import time
from pathlib import Path

import click

from bridge.cli import output as out
from bridge.cli.main import ANSWER_IS_NO, DONE
from bridge.cli.migration_site import CHANNEL
from bridge.cli.migration_story import PATIENTS_OF_SENDER, SENDERS, Story
from bridge.cli.parity_page import parity_page
from bridge.cli.reading import Said
from bridge.migration.parity_report import summary

ROLLBACK_MAX_S = 60.0


def run_chapter(folder: Path, report: Path) -> int:
    """Run it in a folder, and leave the parity report behind. Exit status 0 only if all is as promised."""
    story = Story(folder, tell=lambda line: click.echo(f"· {line}"))
    try:
        return _tell(story, report)
    finally:
        story.stop()


def _tell(story: Story, report: Path) -> int:
    click.echo(
        f"{SENDERS} senders with {PATIENTS_OF_SENDER} patients each, an old engine of its own process "
        "(MLLP in, HTTP out, wards in small letters),\n"
        "two APIs, and the bridge between; traffic all the while\n"
    )
    story.start()
    story.stretch("relay", note="the old engine does all; its own answers reach the senders")
    story.wait(lambda: story.sent() >= story.messages, "messages through the old engine")
    named = walk_to_canary(story)
    rollback_s = walk_to_complete(story)
    report.write_text(parity_page(CHANNEL, story.parity(), time.time_ns() // 1000))
    return _judge(story, named, rollback_s, report)


def walk_to_canary(story: Story) -> list[str]:
    """Relay to canary 50 %: the planted mistake is found, named and corrected. What parity said of it."""
    story.stretch("shadow", note="requests are made and compared; a mapping mistake is planted")
    story.stage("shadow")
    story.compared(story.messages)
    named = [line for each in story.parity() for line in summary(each, time.time_ns() // 1000)[1:]]
    for line in named:
        story.tell(f"  parity: {line}")
    try:
        story.stage("canary", share=500)
    except Said as refused:
        for line in str(refused).splitlines()[:-1]:
            story.tell(f"  {line}")
    story.close_stretch()
    story.correct()
    story.stretch("shadow, corrected", note="the counts begin anew with the corrected mapping")
    story.compared(story.messages)
    story.stretch("canary 5 %")
    story.promote("canary", share=500)
    story.wait(lambda: story.sent() >= story.stretches[-1].began + story.messages, "messages of the canary")
    story.stretch("canary 50 %")
    story.promote("canary", share=5000)
    story.compared(story.messages)
    return named


def walk_to_complete(story: Story) -> float:
    """Canary to complete, with a step back on the way; how long that took."""
    story.stretch("primary", note="the bridge sends all; what the old engine makes is kept and compared")
    story.promote("primary")
    story.compared(story.messages)
    story.close_stretch()
    began_s = time.monotonic()
    for line in story.stage("canary", share=5000, replay=True):
        story.tell(f"  {line}")
    took_s = time.monotonic() - began_s
    story.stretch("back to canary 50 %", note=f"within {took_s:.1f} s")
    story.compared(story.messages)
    story.stretch("primary again")
    story.promote("primary")
    story.compared(story.messages)
    story.stretch("complete", note="the old engine gets nothing any more")
    story.promote("complete")
    story.wait(lambda: story.sent() >= story.stretches[-1].began + story.messages, "messages without it")
    story.drain()
    return took_s


def _judge(story: Story, named: list[str], rollback_s: float, report: Path) -> int:
    click.echo("")
    out.table(
        "stages",
        ["stage", "messages", "pairs compared", "different", "seconds"],
        (
            (each.name, each.ended - each.began, each.compared, each.different, f"{each.seconds:.1f}")
            for each in story.stretches
        ),
        right=("messages", "pairs compared", "different", "seconds"),
    )
    found = story.judge()
    columns = [
        "route", "messages", "by the engine", "by the bridge", "lost", "double", "keys out of order",
        "keys of both",
    ]  # fmt: skip
    out.table(
        "what reached the APIs",
        columns,
        (
            (
                each.route,
                each.expected,
                each.by_engine,
                each.by_bridge,
                each.lost,
                each.double,
                each.out_of_order,
                each.by_both,
            )
            for each in found
        ),
        right=columns[1:],
    )
    clean = not any(each.lost or each.double or each.out_of_order for each in found)
    both = all(each.by_engine and each.by_bridge for each in found)
    mistake = any("room" in line for line in named)
    click.echo(f"the parity report is {report}")
    if clean and both and mistake and rollback_s < ROLLBACK_MAX_S:
        click.echo("nothing was lost, nothing came twice, and no key was out of order at any seam")
        return DONE
    click.echo("NOT as promised: see the tables above", err=True)
    return ANSWER_IS_NO
