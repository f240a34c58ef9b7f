"""Invented people, places and numbers, drawn from a seeded chance. Nobody in them exists.

Phone numbers are those that are kept free for fiction (555-01xx), social security numbers begin with 9, which
none does, and NPIs with 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Final

FAMILIES: Final = (
    "Abel",
    "Brandt",
    "Castro",
    "Demir",
    "Eklund",
    "Farkas",
    "Gallo",
    "Horvat",
    "Iversen",
    "Jansen",
    "Kowalczyk",
    "Lindqvist",
    "Marlow",
    "Nakamura",
    "Okafor",
    "Petrov",
    "Quist",
    "Rossi",
    "Saar",
    "Tremblay",
    "Ueda",
    "Varga",
    "Welbrecht",
    "Yilmaz",
    "Zeman",
    "O'Neil",
    "van der Berg",
    "St. Clair",
    "Smith-Jones",
    "Núñez",
    "Müller",
    "Çelik",
)
GIVEN: Final = (
    "Ada",
    "Bela",
    "Carla",
    "Dino",
    "Edit",
    "Flora",
    "Guido",
    "Helene",
    "Ida",
    "Joris",
    "Kofi",
    "Lena",
    "Maren",
    "Nils",
    "Ole",
    "Pia",
    "Quentin",
    "Rosa",
    "Sam",
    "Tess",
    "Una",
    "Vera",
    "Walt",
    "Ximena",
    "Yuki",
    "Zoë",
)
STREETS: Final = ("Elm Street", "Quarry Lane", "Mill Road", "Harbour Way", "Orchard Close", "Station Square")
CITIES: Final = (
    ("Fenwick", "TX", "78701"),
    ("Northgate", "OH", "44101"),
    ("Lakeside", "MN", "55401"),
    ("Harrow", "WA", "98101"),
)
FACILITIES: Final = ("NORTH", "SOUTH", "LAKE")
WARDS: Final = ("3W", "4E", "ICU", "MAT", "ED")
_BEGIN: Final = datetime(2026, 1, 5, 6, 0, tzinfo=UTC)
_PATIENTS: Final = 400
"""So many patients a seed has: the same one comes again, as in a hospital."""


@dataclass(frozen=True, slots=True)
class Person:
    """A patient."""

    mrn: str
    ssn: str
    family: str
    given: str
    middle: str
    suffix: str
    maiden: str
    born: date
    sex: str
    street: str
    flat: str
    city: tuple[str, str, str]
    phone: str
    work: str
    mail: str
    language: str
    race: tuple[str, str]
    marital: str


@dataclass(frozen=True, slots=True)
class Clinician:
    """Somebody who orders and attends."""

    npi: str
    family: str
    given: str


def chance_of(what: str) -> Random:
    """A chance that gives the same for the same text."""
    return Random(what)  # noqa: S311 - it is to be the same again, not to be secret


def patient(seed: int, number: int) -> Person:
    """Patient ``number`` of a seed: the same whenever it is asked for."""
    chance = chance_of(f"{seed}/patient/{number}")
    family = chance.choice(FAMILIES)
    given = chance.choice(GIVEN)
    return Person(
        mrn=str(100_000 + number),
        ssn=f"9{chance.randrange(10**8):08}",
        family=family,
        given=given,
        middle=chance.choice(("", "", chance.choice(GIVEN), "Q")),
        suffix=chance.choice(("", "", "", "JR", "III")),
        maiden=chance.choice(("", "", chance.choice(FAMILIES))),
        born=date(1930, 1, 1) + timedelta(days=chance.randrange(96 * 365)),
        sex=chance.choice("FMFMFMOU"),
        street=f"{chance.randint(1, 240)} {chance.choice(STREETS)}",
        flat=chance.choice(("", "", f"Apt {chance.randint(1, 40)}")),
        city=chance.choice(CITIES),
        phone=f"(512)555-01{chance.randrange(100):02}",
        work=f"(512)555-01{chance.randrange(100):02}",
        mail=f"{given}.{family}@example.org".lower().replace(" ", ""),
        language=chance.choice(("en", "es", "de", "fr")),
        race=chance.choice((("2106-3", "White"), ("2028-9", "Asian"), ("2131-1", "Other"))),
        marital=chance.choice("SMDWU"),
    )


def some_patient(seed: int, chance: Random) -> Person:
    """One of the patients of a seed."""
    return patient(seed, chance.randrange(_PATIENTS))


def clinician(chance: Random) -> Clinician:
    """One of a few clinicians."""
    number = chance.randrange(40)
    return Clinician(f"0{123_456_000 + number}", FAMILIES[number % 26], GIVEN[number % 24])


def moment(chance: Random, number: int) -> datetime:
    """When message ``number`` is sent: later ones later."""
    return _BEGIN + timedelta(minutes=7 * number + chance.randrange(7), seconds=chance.randrange(60))


def stamp(chance: Random, at: datetime, *, whole: bool = False) -> str:
    """A time as one of the many ways in which senders write it; ``whole``: to the second, with its offset."""
    text = at.strftime("%Y%m%d%H%M%S")
    if whole:
        return text + "+0000"
    ways = (text, text, text[:12], f"{text}+0000", f"{text}.{chance.randrange(10**4):04}-0600", text[:8])
    return chance.choice(ways)


def day(chance: Random, at: date) -> str:
    """A day; sometimes only its year or month is known."""
    text = at.strftime("%Y%m%d")
    return chance.choice((text, text, text, text, text, text[:6], text[:4]))
