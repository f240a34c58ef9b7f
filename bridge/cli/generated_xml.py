"""Synthetic XML, the same for the same seed: what dispensing cabinets gave out. All is invented."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Final
from xml.sax.saxutils import escape

from bridge.cli.generated_entry import entry_of
from bridge.cli.invented import WARDS, some_patient

ITEMS_OF_DISPENSE: Final = 2
_DRUGS: Final = (("0002-8215", "Insulin glargine", "U"), ("0093-0058", "Tramadol & food", "MG"))


def dispenses(seed: int, count: int, made: date) -> Iterator[str]:
    """XML with so many items, some of which were taken together, and what they come to behind them."""
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield f'<DispenseFile xmlns="urn:fenwick:dispensing" id="{seed}">\n'
    yield f"  <Header><Facility>NORTH</Facility><BusinessDate>{made}</BusinessDate></Header>\n"
    total = 0
    for first in range(0, count, ITEMS_OF_DISPENSE):
        entry = entry_of("dispense", seed, first, made)
        who, chance = some_patient(seed, entry.chance), entry.chance
        at = f"{entry.day}T{chance.randrange(24):02}:{chance.randrange(60):02}"
        yield f'  <Dispense id="D-{first // ITEMS_OF_DISPENSE + 1}">\n'
        yield f'    <Patient mrn="{who.mrn}" visit="V-{who.mrn}-1"/>\n    <Account>A-{who.mrn}</Account>\n'
        yield f"    <At>{at}</At>\n    <Ward>{chance.choice(WARDS)}</Ward>\n    <Items>\n"
        for number in range(first, min(count, first + ITEMS_OF_DISPENSE)):
            cents, item = _item(seed, number, made)
            total += cents
            yield item
        yield "    </Items>\n  </Dispense>\n"
    taken = -(-count // ITEMS_OF_DISPENSE)
    yield f"  <Trailer><Dispenses>{taken}</Dispenses><Total>{_dollars(total)}</Total></Trailer>\n"
    yield "</DispenseFile>\n"


def _item(seed: int, number: int, made: date) -> tuple[int, str]:
    """An item that was given out or put back: its amount in cents, and the element."""
    chance = entry_of("dispensed", seed, number, made).chance
    ndc, name, unit = chance.choice(_DRUGS)
    sign = chance.choice((1, 1, 1, -1))
    cents = sign * chance.randint(5, 9_000)
    quantity = f'<Quantity unit="{unit}">{sign * chance.randint(1, 50)}</Quantity>'
    amount = f'<Amount currency="USD">{_dollars(cents)}</Amount>'
    return cents, f'      <Item ndc="{ndc}"><Name>{escape(name)}</Name>{quantity}{amount}</Item>\n'


def _dollars(cents: int) -> str:
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02}"
