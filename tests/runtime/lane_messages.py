"""Messages about patients who are merged, admitted and cancelled, and the site's files with another line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from nodes import Hospital

from bridge.cli.synthetic import Synthetic, admission


def message(
    patient: int, step: int, event: str = "A08", changed: Mapping[str, bytes] = MappingProxyType({})
) -> Synthetic:
    """One message about a patient; ``changed`` replaces bytes of it."""
    made = admission(patient, step, event, control_id=f"C{patient}-{step}-{event}")
    body = made.body
    for old, new in changed.items():
        body = body.replace(old.encode(), new)
    return Synthetic(made.patient, made.step, made.control_id, body)


def merge(kept: int, ended: int, step: int = 1) -> Synthetic:
    """An A40: the patient ``ended`` goes on as ``kept``."""
    made = message(kept, step, "A40")
    segment = f"MRG|{100000 + ended}^^^NORTH^MR".encode()
    return Synthetic(made.patient, step, made.control_id, made.body + segment + b"\r")


def line(old: str, new: str) -> Callable[[str], str]:
    """A change of a file's text, which must have the old one."""

    def change(text: str) -> str:
        assert old in text, f"the file has no {old!r}"
        return text.replace(old, new)

    return change


def both(*changes: Callable[[str], str]) -> Callable[[str], str]:
    """Several changes, one after the other."""

    def change(text: str) -> str:
        for each in changes:
            text = each(text)
        return text

    return change


ORDER_BY_MERGE = both(
    line("order_by: PID-3(5=MR)", "order_by: {default: PID-3(5=MR), ADT^A40: {all: [PID-3(5=MR), MRG-1]}}"),
    line("accept: [ADT^A01,", "accept: [ADT^A40, ADT^A11, ADT^A01,"),
)
"""A merge waits for both patients, and both wait for it."""


def change_api(site: Hospital, name: str, old: str, new: str) -> None:
    """Change a line of an API's file; before the node starts."""
    path = site.folder / "site" / "channels" / "apis" / f"{name}.yaml"
    path.write_text(line(old, new)(path.read_text()))
