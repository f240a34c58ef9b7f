"""What the tree of a route says that it calls: which APIs, and which of their operations."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.delivery.flow import BY_HAND
from bridge.located import Mapping, Node, Scalar
from bridge.message import OPERATIONS


def targets_of(to: Mapping) -> Iterator[Scalar]:
    """The API that a route names, or those among which the message decides."""
    if (one := text_of(to, "api")) is not None:
        yield one
    for _, value in getattr(to.get("from"), "entries", ()):
        if isinstance(value, Scalar) and value.text:
            yield value


def calls_of(to: Mapping) -> dict[str, Scalar]:
    """The API's operation for each operation of the record."""
    if (one := text_of(to, "operation")) is not None:
        return dict.fromkeys(OPERATIONS, one)
    entries = getattr(to.get("operations"), "entries", ())
    return {key.text: value for key, value in entries if isinstance(value, Scalar) and value.text}


def operations_of(route: Mapping) -> list[Scalar]:
    """All operations that a route may call, each once: what its records ask for, and what undoes them."""
    to, undo = route.get("to"), text_of(route, "undo")
    calls = list(calls_of(to).values()) if isinstance(to, Mapping) else []
    if undo is not None and undo.text != BY_HAND:
        calls.append(undo)
    return list(dict.fromkeys(calls))


def text_of(node: Node | None, key: str) -> Scalar | None:
    """The text under a key, or None where there is none; what is wrong about it has been told."""
    value = node.get(key) if isinstance(node, Mapping) else None
    return value if isinstance(value, Scalar) and value.text else None
