"""Settings of a channel that are no step and no connector: whether it ran, what was kept, and how long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bridge.migration.mirth.model import Channel
from bridge.migration.mirth.text import one_line
from bridge.migration.mirth.xml_tree import Node

_READ: Final = {
    "messageStorageMode": ("properties/messageStorageMode",),
    "encryptData": ("properties/encryptData",),
    "removeContentOnCompletion": ("properties/removeContentOnCompletion",),
    "pruneMetaDataDays": (
        "exportData/metadata/pruningSettings/pruneMetaDataDays",
        "properties/pruneMetaDataDays",
    ),
    "pruneContentDays": (
        "exportData/metadata/pruningSettings/pruneContentDays",
        "properties/pruneContentDays",
    ),
}
_OLD_NAMES: Final = {"max_message_age": "pruneMetaDataDays", "encryptData": "encryptData"}
"""Properties of version 2."""
_NOT_STORED: Final = frozenset({"RAW", "METADATA", "DISABLED"})
_DAYS_MAX: Final = 36_500


def settings_of(node: Node) -> dict[str, str]:
    """What a channel of an export sets, by its name in version 4."""
    found = {
        name: text
        for name, paths in _READ.items()
        if (text := next((node.at(path).strip() for path in paths if node.at(path).strip()), ""))
    }
    holder = node.get("properties")
    for each in [] if holder is None else holder.children:
        old = each.attributes.get("name", "")
        if old in _OLD_NAMES and each.text.strip() not in ("", "-1"):
            found.setdefault(_OLD_NAMES[old], each.text.strip())
        if old == "store_messages" and each.text.strip() == "false":
            found["messageStorageMode"] = "DISABLED"
    return found


def held_back(channel: Channel) -> str:
    """Why a channel did not run in the old engine, and so is not to run here by itself; empty: it ran."""
    if not channel.enabled:
        return "it was disabled"
    state = channel.initial_state.strip().upper()
    return {"STOPPED": "it was not started", "PAUSED": "it was started paused, and took nothing"}.get(
        state, ""
    )


def differs(channel: Channel) -> list[str]:
    """What is told of a channel's settings beside its file."""
    settings = channel.settings
    found = list(_kept(settings))
    mode = settings.get("messageStorageMode", "").upper()
    if mode in _NOT_STORED:
        found.append(
            f"not all of a message was stored ({one_line(mode, 20)}); here each is on disk, see `retention`"
        )
    if settings.get("removeContentOnCompletion") == "true":
        found.append("the content of a message was removed once it was over: see `retention.bodies`")
    if settings.get("encryptData") == "true":
        found.append("what was stored was encrypted; here it is as the journal's disk or database keeps it")
    if sum(each.enabled for each in channel.destinations) > 1:
        found.append("a message went to its destinations one after the other; here each route goes by itself")
    return found


def _kept(settings: Mapping[str, str]) -> list[str]:
    """How long messages were kept where the old engine pruned them. What would delete is left to a person."""
    messages, bodies = (_days(settings.get(f"prune{each}Days", "")) for each in ("MetaData", "Content"))
    lines = [f"messages: {messages}d"] if messages else []
    lines += [f"bodies: {bodies}d"] if bodies and bodies != messages else []
    if not lines:
        return []
    return [
        "messages were deleted after a time where the pruner ran; here they are kept for good, until "
        f"`retention: {{{', '.join(lines)}}}` is written"
    ]


def _days(text: str) -> int:
    return int(text) if text.isdecimal() and 0 < int(text[:9]) <= _DAYS_MAX else 0
