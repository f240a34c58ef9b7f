"""Synthetic files of EDIFACT, the same for the same seed: `bridge generate`. All is invented."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from typing import Final

from bridge.cli.generated_entry import ITEMS, Entry, entry_of

_HOSPITAL, _SUPPLIER, _STORES = "0614141000012", "0614141000050", "0614141000029"
_TAX_PERCENT: Final = 19


def _day(entry: Entry) -> str:
    return f"{entry.day:%Y%m%d}"


def _line(entry: Entry, number: int) -> tuple[list[str], int, Decimal]:
    """What a line is of, how many of it, and what one costs."""
    vendor, own, gtin, what, _ = entry.chance.choice(ITEMS)
    article = f"++{gtin}:EN" if gtin else ""
    said = [f"LIN+{number}{article}", f"PIA+1+{vendor}:SA+{own}:IN", f"IMD+F++:::{what.replace('+', '?+')}"]
    return said, entry.chance.randint(1, 20), Decimal(entry.money(90))


def _order(entry: Entry) -> Iterator[str]:
    function = entry.chance.choice("99951")
    yield from (
        f"BGM+220+PO-{entry.number}+{function}",
        f"DTM+137:{_day(entry)}0800:203",
        f"DTM+2:{_day(entry)}:102",
    )
    if entry.often(0.2):
        yield "FTX+PUR+++Deliver to the dock?: ring twice"
    yield from (f"NAD+BY+{_HOSPITAL}::9", f"NAD+SU+{_SUPPLIER}::9", f"NAD+DP+{_STORES}::9", "CUX+2:EUR:9")
    count, total = entry.chance.randint(1, 4), Decimal(0)
    for number in range(1, count + 1):
        said, quantity, price = _line(entry, number)
        total += quantity * price
        yield from (*said, f"QTY+21:{quantity}:EA", f"PRI+AAA:{price}")
    yield from ("UNS+S", f"MOA+86:{total}", f"CNT+2:{count}")


def _invoice(entry: Entry) -> Iterator[str]:
    kind = entry.chance.choice(("380", "380", "380", "381"))
    yield from (f"BGM+{kind}+INV-{entry.number}+9", f"DTM+137:{_day(entry)}:102", f"RFF+ON:PO-{entry.number}")
    yield from (
        f"NAD+SU+{_SUPPLIER}::9",
        f"NAD+BY+{_HOSPITAL}::9",
        "CUX+2:EUR:4",
        f"DTM+13:{_day(entry)}:102",
    )
    count, total = entry.chance.randint(1, 4), Decimal(0)
    for number in range(1, count + 1):
        said, quantity, price = _line(entry, number)
        total += quantity * price
        yield from (*said, f"QTY+47:{quantity}:EA", f"MOA+203:{quantity * price:.2f}", f"PRI+AAA:{price}")
    tax = (total * _TAX_PERCENT / 100).quantize(Decimal("0.01"))
    yield from ("UNS+S", f"CNT+2:{count}", f"MOA+79:{total:.2f}", f"MOA+77:{total + tax:.2f}")
    yield from (f"TAX+7+VAT+++:::{_TAX_PERCENT}+S", f"MOA+124:{tax}")


MESSAGES: Final[dict[str, Callable[[Entry], Iterator[str]]]] = {"orders": _order, "invoic": _invoice}


def interchange(kind: str, seed: int, count: int, made: date) -> Iterator[str]:
    """A file of ``count`` messages, segment by segment, a line each."""
    sender, to = (_HOSPITAL, _SUPPLIER) if kind == "orders" else (_SUPPLIER, _HOSPITAL)
    yield f"UNA:+.? '\nUNB+UNOC:3+{sender}:14+{to}:14+{made:%y%m%d}:0800+{seed}++++++1'\n"
    for number in range(count):
        size = 2
        yield f"UNH+{number + 1}+{kind.upper()}:D:96A:UN:EAN008'\n"
        for segment in MESSAGES[kind](entry_of(kind, seed, number, made)):
            size += 1
            yield f"{segment}'\n"
        yield f"UNT+{size}+{number + 1}'\n"
    yield f"UNZ+{count}+{seed}'\n"
