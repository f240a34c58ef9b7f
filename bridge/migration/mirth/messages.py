"""Messages that the old engine has kept, as its message export writes them: what each destination sent.

A connector with a number above 0 is a destination. What it sent is its ``encoded`` content, or its ``raw``
where no transformer ran. Contents that the old engine has encrypted are not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from bridge.migration.mirth.xml_tree import ExportRefused, Node, read_xml

_MESSAGE: Final = frozenset({"message"})
_ROOTS: Final = frozenset({"list", "message", "messages"})
_SENT: Final = frozenset({"SENT", "S"})


@dataclass(slots=True)
class KeptMessages:
    """``sent`` are the contents that a destination has sent, in the order of the file; ``left_out`` says "
    "how many
    were not taken, by why."""

    sent: list[str] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)

    def leave_out(self, why: str) -> None:
        """Count one that is not taken."""
        self.left_out[why] = self.left_out.get(why, 0) + 1


def kept_messages(data: bytes, connector: str = "") -> KeptMessages:
    """What destinations have sent, or the one of this name. Raises ExportRefused."""
    found = KeptMessages()
    root = read_xml(data, lambda node: _take(node, connector, found), _MESSAGE)
    if root.tag not in _ROOTS:
        raise ExportRefused(f"the root is <{root.tag[:60]}>, and expected is an export of messages")
    return found


def _take(message: Node, connector: str, found: KeptMessages) -> None:
    for each in _destinations(message):
        if connector and each.at("connectorName") != connector:
            found.leave_out("another destination")
        elif each.at("status") not in _SENT:
            found.leave_out("not sent")
        else:
            _take_content(each, found)


def _destinations(message: Node) -> Iterator[Node]:
    for each in message.every():
        number = each.at("metaDataId")
        if each.tag == "connectorMessage" and number.isdecimal() and int(number):
            yield each


def _take_content(connector: Node, found: KeptMessages) -> None:
    for name in ("encoded", "raw"):
        content = connector.get(name)
        if content is None or not (text := content.at("content")):
            continue
        if content.at("encrypted") == "true":
            found.leave_out("encrypted")
        else:
            found.sent.append(text)
        return
    found.leave_out("no content")
