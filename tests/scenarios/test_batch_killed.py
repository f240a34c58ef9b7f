"""A bridge is killed again and again in the middle of files: each record is delivered once, to the cent."""

from __future__ import annotations

import random
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest
from charge_files import FIXED, XML, fixed, write_charges, xml
from drill import CHANNEL, until
from file_drill import FileDrill


def put(drill: FileDrill, name: str, content: bytes) -> None:
    """Let a file appear under its name, whole."""
    hidden = drill.incoming / f".{name}.tmp"
    hidden.write_bytes(content)
    hidden.rename(drill.incoming / name)


def of_days(rerun: str, site: Path, incoming: Path, format_: str) -> None:
    """A channel that knows of which day its files are, and what a second one of a day is."""
    write_charges(site, incoming, format_)
    if rerun != "none":
        channel = site / "channels" / f"{CHANNEL}.yaml"
        text = channel.read_text()
        rule = f"release: after_balance, business_date: {{of: $header.business_date}}, rerun: {rerun}"
        assert "{release: after_balance}" in text
        channel.write_text(text.replace("{release: after_balance}", f"{{{rule}}}"))


@pytest.mark.live
def test_each_record_of_a_file_is_delivered_once_whatever_kills_the_bridge(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """With ``--batch-rerun`` a second file of the day comes while the first one goes out.

    As a difference a tenth of it is new, and a tenth of the first is not in it; every charge is posted once.
    In place of the first, every second charge is corrected: what the first one had not sent yet is withdrawn,
    all of the second goes out, and nothing goes twice under one key. ``--batch-format xml`` has the same
    charges as elements of XML.
    """
    format_, made_of = (XML, xml) if pytestconfig.getoption("--batch-format") == "xml" else (FIXED, fixed)
    records, kills, rerun = map(pytestconfig.getoption, ("--batch-records", "--kills", "--batch-rerun"))
    chance, more = random.Random(records), 0 if rerun == "none" else records // 10
    with FileDrill(
        tmp_path, mark="amount", prepare=lambda site, incoming: of_days(rerun, site, incoming, format_)
    ) as drill:
        put(drill, "charges.txt", made_of(records))
        if rerun != "none":
            until(lambda: len(drill.encounters.calls()) >= more, "a tenth is sent", at_most_s=600.0)
            dearer = range(0, records, 2) if rerun == "replace" else ()
            put(drill, "more.txt", made_of(records, first=more if rerun == "delta" else 0, dearer=dearer))
        for _ in range(kills):
            time.sleep(chance.uniform(0.0, 1.0 if records < 1000 else 8.0))
            drill.kill()
        files = 1 if rerun == "none" else 2
        [ledger] = drill.ended(files, at_most_s=max(120.0, files * records * 0.05), pattern="*.txt")
        calls = drill.encounters.calls()
    counts, paid = ledger.channels[CHANNEL], [Decimal(call["mark"]) for call in calls]
    assert (counts["delivered"], counts["open"], counts["quarantined"]) == (len(calls), 0, 0)
    assert len({call["idempotency_key"] for call in calls}) == len(calls), "something went twice"
    if rerun == "replace":
        told = replaced(calls, records)
        assert counts["superseded"] == 2 * records - len(calls)
    else:
        assert len({call["path"] for call in calls}) == len(calls) == records + more, "lost, or applied twice"
        assert counts["duplicate"] == (records - more if rerun == "delta" else 0)
        assert sum(paid) == sum(number % 1000 for number in range(records + more))
        told = f"each once; {sum(paid)} in all, as the trailers say"
    print(f"{kills} kills, {records} records a file, {rerun}: {len(calls)} calls, {told}")


def replaced(calls: list[dict[str, str]], records: int) -> str:
    """Hold what arrived of two files, of which the second made all charges of even dollars a cent dearer."""
    times: dict[str, Counter[str]] = {"both": Counter(), "first": Counter(), "second": Counter()}
    for call in calls:
        amount = Decimal(call["mark"])
        file = "second" if amount % 1 else "both" if amount % 2 else "first"
        times[file][call["path"]] += 1
    assert len(times["second"]) == times["second"].total() == len(range(0, records, 2)), "lost, or twice"
    assert len(times["both"]) == len(range(1, records, 2)), "a charge that is as it was is lost"
    assert max(times["both"].values()) <= 2, "it went more often than files say it"
    assert max(times["first"].values(), default=1) == 1, "a charge that was corrected later went twice"
    withdrawn = 2 * records - len(calls)
    assert 0 <= withdrawn < records, "all of the first file was withdrawn, or more went than there is"
    return f"{withdrawn} of the first file withdrawn, all of the second there"
