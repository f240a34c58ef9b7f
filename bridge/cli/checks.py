"""What ``bridge status --check`` worries about: each thing that needs somebody, in words."""

from __future__ import annotations

import re
import shutil
import time
from typing import Any, Final

from bridge.cli.output import count, moment, span
from bridge.cli.reading import database, read
from bridge.delivery.files import FileState
from bridge.destinations.events_nats_proof import ADVICE as STREAM_ADVICE
from bridge.destinations.reasons import REASONS as REASONS_OF_ATTEMPTS
from bridge.destinations.reasons import advice as attempt_advice
from bridge.journal.files_kept import files_counted, refused_since
from bridge.journal.ledger import Ledger
from bridge.journal.quarantine import at_fault, oldest_open_us
from bridge.journal.reruns import RERUN
from bridge.runtime.file_reasons import EMPTY, NOT_READABLE, REASONS, TOO_LARGE

FILES_WAIT: Final = {FileState.QUARANTINED: "in quarantine", FileState.FAILED: "failed"}
"""Files that a person decides about."""
NOTHING_CAME: Final = (NOT_READABLE, TOO_LARGE, EMPTY, RERUN)
"""What a file is refused for so that nothing of it came in, now or before."""
REFUSED_TOLD_S: Final = 86400.0
"""No person decides about a refused file, its sender does: what was not sent again in a day will not be."""
HELD_UP_SHOWN_MAX = 5
DISK_FREE_MIN_RATIO = 0.05
DISK_FREE_MIN_BYTES = 1024**3
OPEN_MAX_S = 900.0
CLOCK_AHEAD_S: Final = 60.0
"""By so much may the node's time be ahead of the machine's before somebody should know."""
FAILING_MAX_S: Final = 300.0
"""Where no call of an operation has succeeded for so long while something waits, somebody should know."""
ASKED_MAX_S: Final = 60.0
"""An API that asks for a longer wait is left alone for so long that somebody should know."""
CERTIFICATE_ENDS_S = 30 * 86400.0
REVOCATIONS_END_S = 86400.0
"""Lists of revocations live for days, and are to be fetched in time by themselves."""
_SENTENCE_ENDS: Final = re.compile(r"(?<=[.?]) (?=[A-Z])")


def worries(journal_url: str | None, ledger: Ledger, node: dict[str, Any] | None) -> list[str]:
    """Everything that needs somebody; empty where all is well."""
    found = []
    if not ledger.balanced:
        found.append("the ledger does not balance: keep the journal, and report it")
    if stuck := sum(entries["quarantined"] for entries in ledger.channels.values()):
        found.append(f"{stuck} in quarantine: `bridge quarantine summary`")
    waiting = read(journal_url, files_counted)
    found += [
        f"{count(number, 'file')} of {channel} {FILES_WAIT[state]}: `bridge files list --state {state}`"
        for (channel, state), number in sorted(waiting.items())
        if state in FILES_WAIT
    ]
    if faults := read(journal_url, at_fault):
        found.append(
            f"{count(faults, 'delivery', 'deliveries')} met a fault of the bridge and wait: report the lines "
            "`attempt-fault` of its log"
        )
    refused = read(journal_url, refused_since, NOTHING_CAME, int((time.time() - REFUSED_TOLD_S) * 1e6))
    found += [
        f"{count(number, 'file')} of {channel} in the last day refused, {reason}, and not taken since: "
        f"{REASONS[reason]} `bridge files list --state REFUSED`"
        for (channel, reason), number in sorted(refused.items())
    ]
    oldest_us = read(journal_url, oldest_open_us)
    if oldest_us is not None and (waited_s := time.time() - oldest_us / 1e6) > OPEN_MAX_S:
        found.append(f"something is open for {waited_s / 60:.0f} minutes")
    found += _of_disk(journal_url)
    return found + (["no node runs on this journal"] if node is None else of_node(node))


def _of_disk(journal_url: str | None) -> list[str]:
    """Of a file's disk; that of a server is its own people's."""
    journal = database(journal_url)
    journal.close()
    if journal.file is None:
        return []
    disk = shutil.disk_usage(journal.file.absolute().parent)
    if disk.free >= min(DISK_FREE_MIN_BYTES, disk.total * DISK_FREE_MIN_RATIO):
        return []
    return [f"{disk.free // 1024**2} MiB are left on the journal's disk"]


def of_node(node: dict[str, Any]) -> list[str]:
    """What a node knows that needs somebody."""
    found = (
        [f"{node['journal_trouble']}; look at the node's log, and at its disk or server"]
        if node["journal_failing"] or node.get("journal_trouble")
        else []
    )
    if (disk := node.get("disk")) is not None and disk["low"]:
        found.append(
            f"nothing new is taken: {disk['free_bytes'] // 1024**2} MiB are left on the journal's disk, "
            f"{disk['reserve_bytes'] // 1024**2} MiB are the reserve (BRIDGE_DISK_RESERVE)"
        )
    if (approvals := node.get("approvals")) is not None and approvals["review_missing"]:
        late = approvals["until_us"] is None or approvals["until_us"] / 1e6 < time.time()
        found.append(
            f"bundle {approvals['bundle']} runs by an emergency approval"
            f"{' that has expired' if late else ''}: {'; '.join(approvals['review_missing'])}"
        )
    found += _of_clock(node)
    for name, files in sorted(node.get("tls_of_calls", {}).items()):
        found += _of_own_certificates(name, files)
    for each in node["stopped"]:
        words = "lets repeats through" if each["scope"] == "resend" else "is paused"
        found.append(f"{each['subject']} {words} by {each['actor']}: {each['reason']}")
    for name, channel in sorted(node["channels"].items()):
        if left := channel.get("keeps_old_order"):
            found.append(f"{name} waits for {left} that keep the order of another `order_by`")
        if not channel["open"]:
            found.append(f"the door of {name} is closed")
        found += _of_certificates(name, channel)
        found += _of_files(name, channel)
    found += [
        f"the old engine of {name} is away: {each['away']}; {count(each['owed'], 'message')} for it here"
        for name, each in sorted(node.get("engines", {}).items())
        if each["away"]
    ]
    found += [
        why for _, each in sorted(node.get("engines", {}).items()) for _, why in sorted(each["taps"].items())
    ]
    found += [
        f"consents of {name} cannot be had ({trouble}): what is new there, a denial too, does not count yet"
        for name, trouble in sorted(node.get("consent_sources", {}).items())
    ]
    for name, api in sorted(node["apis"].items()):
        if api["keys_blocked"]:
            found.append(f"{count(api['keys_blocked'], 'key')} of {name} blocked until a person decides")
        found += _of_collecting(name, api["collecting"])
        found += [f"route {route} is stopped by a refused request" for route in api["blocked_routes"]]
        found += _of_operations(name, api, time.time())
    return found


def _of_operations(name: str, api: dict[str, Any], now_s: float) -> list[str]:
    found = []
    for operation, each in sorted(api["operations"].items()):
        failing = each.get("failing")
        if left_alone(each, now_s + ASKED_MAX_S):
            found.append(f"{operation} of {name} is left alone: {_words(each['reason'], failing)}")
        elif failing is None or "api" in api["paused"]:
            continue
        elif (failing_s := now_s - failing["since_us"] / 1e6) > FAILING_MAX_S:
            found.append(
                f"no call of {operation} of {name} has succeeded for {span(failing_s)}: "
                f"{_words(failing['reason'], failing)}; {count(each['waiting'], 'key')} waiting"
            )
    return found


def _words(reason: str, failing: dict[str, Any] | None) -> str:
    """Why calls fail: what the reason's sentence says first, or what is answered; and the reason itself."""
    if not reason:
        return "its API asks for a wait"
    if words := REASONS_OF_ATTEMPTS.get(reason) or STREAM_ADVICE.get(reason):
        return f"{_SENTENCE_ENDS.split(words)[0].rstrip('.')} ({reason})"
    answers = failing["status"] if failing is not None and failing["reason"] == reason else None
    answered = "" if answers is None else f"it answers {answers}, "
    return f"{answered}`bridge explain {reason}` says what that means ({reason})"


def _of_collecting(name: str, collecting: dict[str, Any]) -> list[str]:
    if not (reason := collecting["trouble"]):
        return []
    advice = attempt_advice(reason)
    if not collecting["unwritten"]:
        return [f"no file of {name} can be closed: {reason}. {advice}"]
    since_us = collecting.get("unwritten_since_us")  # a node of before does not say
    since = "" if since_us is None else f" since {moment(since_us)}"
    return [
        f"{count(collecting['unwritten'], 'file')} of {name} closed{since} and not written: {reason}. "
        f"{advice} It is tried again every few seconds."
    ]


def _of_clock(node: dict[str, Any]) -> list[str]:
    found: list[str] = []
    if (clock := node.get("clock")) is None:
        return found
    if (ahead_s := clock["now_us"] / 1e6 - time.time()) > CLOCK_AHEAD_S:
        found.append(
            f"the node's time is {span(ahead_s)} ahead: the machine's clock was set back under it, and its "
            "waits take up to twice as long until it has caught up, or is started anew"
        )
    if behind_s := clock["behind_s"]:
        found.append(
            f"the clock is {span(behind_s)} behind what the journal knows: what comes is dated so, deleted "
            "that much earlier, and not known if it comes again once the clock was set; set it right first"
        )
    if (doubt := clock["doubt"]) is not None:
        found.append(
            f"the clock was set forward by {span(doubt['ahead_s'])}: nothing is deleted by it until it has "
            f"stood so for {span(doubt['counts_in_s'])} more; set it right if it is wrong"
        )
    return found


def left_alone(operation: dict[str, Any], at_s: float) -> bool:
    """Whether an operation is not called at a time, since it fails or since its API asks for a wait."""
    return operation["state"] != "closed" or (operation["until_us"] or 0) / 1e6 > at_s


def again(operation: dict[str, Any]) -> str:
    """When an operation that is left alone is called again, in words; empty where no time is waited for."""
    if (until_us := operation["until_us"]) is not None:
        return moment(until_us)
    waits = operation["state"] != "closed" and not operation["in_flight"]
    return "with the next message" if waits else ""


def _of_files(name: str, channel: dict[str, Any]) -> list[str]:
    found = []
    if channel.get("files_overdue"):
        found.append(f"a file of {name} is missed: none has come for longer than `expect_every`")
    if why := channel.get("files_out_of_reach"):
        found.append(f"the files of {name} are out of reach: {why}")
    if odd := channel.get("files_odd"):
        named = channel.get("files_odd_named", [])
        more = f"; and {odd - len(named)} more" if odd > len(named) else ""
        words = f"{count(odd, 'name')} where the files of {name} come from are not taken: "
        found.append(f"{words}{'; '.join(named)}{more}")
    held_up = channel.get("files_held_up", [])
    found += [f"a file of {name}: {each}" for each in held_up[:HELD_UP_SHOWN_MAX]]
    if len(held_up) > HELD_UP_SHOWN_MAX:
        all_of_them = "`bridge status --format json` names each"
        found.append(f"{len(held_up)} files of {name} need somebody in all: {all_of_them}")
    return found


def _of_certificates(name: str, channel: dict[str, Any]) -> list[str]:
    found = []
    for file, ends_s in sorted(channel.get("certificates_end_s", {}).items()):
        left_s = ends_s - time.time()
        if left_s <= 0:
            found.append(f"the {file} of {name} has expired: senders are refused, or refuse it")
        elif left_s < (REVOCATIONS_END_S if file == "crl" else CERTIFICATE_ENDS_S):
            found.append(f"the {file} of {name} expires in {left_s / 86400:.0f} days")
    if why := channel.get("certificates_not_reloaded"):
        found.append(f"the changed TLS files of {name} are not in use: {why}")
    return found


def _of_own_certificates(name: str, files: dict[str, Any]) -> list[str]:
    found = []
    for file, ends_s in sorted(files["ends_s"].items()):
        left_s = ends_s - time.time()
        if left_s <= 0:
            found.append(f"the {file} for {name} has expired: TLS is refused, there or here")
        elif left_s < CERTIFICATE_ENDS_S:
            found.append(f"the {file} for {name} expires in {left_s / 86400:.0f} days")
    if why := files["unusable"]:
        found.append(f"the TLS files for {name} cannot be used, at the latest from the next start on: {why}")
    return found
