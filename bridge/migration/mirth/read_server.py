"""What a whole server sets beside its channels: alerts, pruning, the order of starting, users and the like.

None of it has a place in a channel's file. It is told, so that nobody finds it missing later.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bridge.migration.mirth.model import ServerItem
from bridge.migration.mirth.text import one_line
from bridge.migration.mirth.xml_tree import Node

_ALERTED: Final = (
    "nobody is told by an alert of it here: see `bridge status --check` and the metrics, and let your "
    "monitoring tell the same persons"
)
_PRUNED: Final = "what is over was deleted by it; here nothing is until `retention` of a channel says so"
_STARTED: Final = "channels start together here, and an API that is away is waited for"
_MAILED: Final = "mail was sent by it; the bridge sends none"
_ACCOUNTS: Final = "who may do what is said anew: accounts of the old engine are not taken over"
_JARS: Final = "scripts called Java of it; no mapping does"
_TAGS: Final = "channels were grouped by it; here by names and `owner`"
_PLUGINS: Final = "settings of plugins are not taken over"


def alert_of(node: Node) -> ServerItem:
    """An alert, whose recipients are counted and not named."""
    recipients = [
        each.text for each in node.every() if each.tag in ("recipient", "string") and "@" in each.text
    ]
    enabled = "" if node.at("enabled").strip() != "false" else ", disabled"
    count = (
        f" ({len(recipients)} recipients{enabled})" if len(recipients) != 1 else f" (1 recipient{enabled})"
    )
    return ServerItem("alert", one_line(node.at("name"), 80) + count, _ALERTED)


def server_items(root: Node) -> Iterator[ServerItem]:
    """Of what is left of a server's configuration once its units are gone."""
    for node in root.every():
        match node.tag:
            case "channelDependency":
                after = f"{node.at('dependentId').strip()} after {node.at('dependencyId').strip()}"
                yield ServerItem("dependency", one_line(after, 120), _STARTED)
            case "channelTag" if node.at("name").strip():
                yield ServerItem("tag", one_line(node.at("name"), 80), _TAGS)
            case "users" if node.children:
                yield ServerItem("users", str(len(node.children)), _ACCOUNTS)
            case "smtpHost" if node.text.strip():
                yield ServerItem("mail server", one_line(node.text, 80), _MAILED)
            case "pluginProperties" if root.tag == "serverConfiguration":
                yield from _plugins(node)
            case "resourceProperties":
                yield from _resources(node)


def _plugins(node: Node) -> Iterator[ServerItem]:
    for entry in node.children:
        name = entry.at("string").strip()
        if name in ("Data Pruner", "Message Pruner"):
            enabled = any(
                each.attributes.get("name") == "enabled" and each.text.strip() in ("true", "1")
                for each in entry.every()
            )
            yield ServerItem("pruner", f"{name}, {'enabled' if enabled else 'disabled'}", _PRUNED)
        elif name:
            yield ServerItem("plugin", one_line(name, 80), _PLUGINS)


def _resources(node: Node) -> Iterator[ServerItem]:
    for each in node.every():
        name = each.at("name").strip()
        if name and name != "[Default Resource]":
            yield ServerItem("resource", one_line(name, 80), _JARS)
