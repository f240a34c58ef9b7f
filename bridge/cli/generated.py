"""Synthetic HL7 v2 messages, the same for the same seed: `bridge generate`. All in them is invented."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random
from typing import Final

from bridge.cli.invented import (
    FACILITIES,
    WARDS,
    Clinician,
    Person,
    chance_of,
    clinician,
    day,
    moment,
    some_patient,
    stamp,
)
from bridge.formats.hl7v2_delimiters import STANDARD
from bridge.formats.hl7v2_escape import escape

Fields = Mapping[int, str]
VERSIONS: Final = ("2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.5.1", "2.6", "2.7")
_TESTS: Final = (
    ("2345-7", "Glucose", "mg/dL", "70-99"),
    ("718-7", "Hemoglobin", "g/dL", "12.0-15.5"),
    ("2951-2", "Sodium", "mmol/L", "136-145"),
    ("6690-2", "Leukocytes", "10*3/uL", "4.5-11.0"),
    ("2160-0", "Creatinine", "mg/dL", "0.6-1.3"),
    ("1742-6", "ALT", "U/L", "7-56"),
)
_PANELS: Final = (("24323-8", "Metabolic panel"), ("58410-2", "Blood count"), ("600-7", "Blood culture"))
_DRUGS: Final = (
    ("0002-8215", "Insulin glargine", "U"),
    ("0093-0058", "Tramadol", "MG"),
    ("0378-0018", "Metoprolol", "MG"),
)
_VACCINES: Final = (("140", "Influenza, seasonal"), ("115", "Tdap"), ("213", "SARS-COV-2"))
_DIAGNOSES: Final = (
    ("J18.9", "Pneumonia, unspecified organism"),
    ("R07.9", "Chest pain, unspecified"),
    ("I10", "Hypertension"),
)
_OFTEN: Final = ("A01", "A01", "A02", "A03", "A04", "A08", "A08", "A11", "A40")
_SELDOM: Final = (
    *("A05", "A06", "A07", "A12", "A13", "A17", "A24", "A28", "A31", "A37"),
    *("A41", "A42", "A43", "A44", "A45", "A47"),
)
_NOTES: Final = (
    "hemolyzed & re-run",
    "see report | page 2",
    "sent to R^D",
    "first line\nsecond line",
    "50~60 expected",
)


def text(value: str) -> str:
    """A value as it stands in a message, with what would part it escaped."""
    return "\\.br\\".join(escape(line, STANDARD) for line in value.split("\n"))


def segment(name: str, fields: Fields) -> str:
    """One segment; fields that are not named are empty, and none stands after the last one with a value."""
    last = max((number for number, value in fields.items() if value), default=0)
    return "|".join([name, *(fields.get(number, "") for number in range(1, last + 1))])


def join(*parts: str) -> str:
    """Components, without empty ones at the end."""
    return "^".join(parts).rstrip("^")


@dataclass(frozen=True, slots=True)
class Drawn:
    """What one message is about."""

    chance: Random
    number: int
    seed: int
    facility: str
    patient: Person
    doctor: Clinician
    version: str

    def often(self, share: float) -> bool:
        """True so often."""
        return self.chance.random() < share

    def now(self) -> str:
        """The time of the message, as this sender writes times."""
        return stamp(self.chance, moment(chance_of(f"{self.seed}/{self.number}"), self.number))

    def earlier(self, hours: int) -> str:
        """A time so long before at most."""
        at = moment(chance_of(f"{self.seed}/{self.number}"), self.number)
        return stamp(self.chance, at - timedelta(minutes=self.chance.randrange(60 * hours)))

    @property
    def visit(self) -> str:
        """The number of the stay."""
        return f"V-{self.patient.mrn}-{self.number % 3 + 1}"


def evn(drawn: Drawn, event: str) -> str:
    """EVN."""
    return segment(
        "EVN", {1: event, 2: drawn.now(), 5: join("CLERK7", "Morrow", "Tess"), 6: drawn.earlier(2)}
    )


def pid(drawn: Drawn) -> str:
    """PID: identifiers in any order, names, addresses and telephones that repeat."""
    who, chance = drawn.patient, drawn.chance
    numbers = [join(who.mrn, "", "", drawn.facility, chance.choice(("MR", "MR", "MR", "MRN", "")))]
    if drawn.often(0.5):
        numbers.append(join(who.ssn, "", "", "USSSA", "SS"))
    if drawn.often(0.3):
        numbers.append(join(f"P{who.mrn}", "", "", "PAYER&2.16.840.1.113883.19&ISO", "PI"))
    chance.shuffle(numbers)
    names = [join(text(who.family), text(who.given), who.middle, who.suffix, "", "", "L")]
    if who.maiden and drawn.often(0.6):
        names.append(join(text(who.maiden), text(who.given), "", "", "", "", "M"))
    address = join(text(who.street), who.flat, *who.city, "USA", "H")
    phones = [join(who.phone, "PRN", "PH")]
    if drawn.often(0.4):
        phones.append(join("", "NET", "Internet", text(who.mail)))
    return segment(
        "PID",
        {
            1: "1",
            3: "~".join(numbers),
            5: "~".join(names),
            7: day(chance, who.born),
            8: who.sex,
            10: join(*who.race, "HL70005") if drawn.often(0.7) else "",
            11: address if drawn.often(0.95) else '""',
            13: "~".join(phones) if drawn.often(0.9) else '""',
            14: join(who.work, "WPN", "PH") if drawn.often(0.5) else "",
            15: join(who.language, "", "ISO639") if drawn.often(0.5) else "",
            16: who.marital,
            18: join(f"A-{who.mrn}", "", "", drawn.facility, "AN"),
            19: who.ssn if drawn.often(0.2) else "",
            30: chance.choice(("", "", "N")),
        },
    )


def person(who: Clinician) -> str:
    """A clinician as XCN."""
    return join(who.npi, text(who.family), text(who.given), "", "", "DR", "", "", "NPI")


def pv1(drawn: Drawn, *, kind: str = "I", ended: bool = False) -> str:
    """PV1."""
    chance = drawn.chance
    place = join(chance.choice(WARDS), str(chance.randint(300, 399)), chance.choice("AB"), drawn.facility)
    return segment(
        "PV1",
        {
            1: "1",
            2: kind,
            3: place,
            4: chance.choice(("E", "R", "U", "")),
            7: person(drawn.doctor),
            8: person(clinician(chance)) if drawn.often(0.3) else "",
            10: chance.choice(("MED", "SUR", "PED", "CAR")),
            14: chance.choice(("1", "7", "")),
            17: person(clinician(chance)) if drawn.often(0.3) else "",
            18: chance.choice(("INP", "")),
            19: join(drawn.visit, "", "", drawn.facility, "VN"),
            36: "01" if ended else "",
            44: drawn.earlier(72),
            45: drawn.now() if ended else "",
        },
    )


def more(drawn: Drawn) -> list[str]:
    """What an admission carries besides."""
    who, chance = drawn.patient, drawn.chance
    found = []
    if drawn.often(0.5):
        kin = join(text(who.family), chance.choice(("Robin", "Alex", "Kim")))
        found.append(segment("NK1", {1: "1", 2: kin, 3: join("SPO", "Spouse", "HL70063"), 5: who.phone}))
    if drawn.often(0.4):
        reason = text(chance.choice(_NOTES))
        found.append(segment("AL1", {1: "1", 2: "DA", 3: join("PCN", "Penicillin", "L"), 4: "SV", 5: reason}))
    if drawn.often(0.5):
        code, name = chance.choice(_DIAGNOSES)
        found.append(segment("DG1", {1: "1", 3: join(code, text(name), "I10"), 5: drawn.now(), 6: "A"}))
    if drawn.often(0.4):
        found.append(
            segment(
                "IN1",
                {1: "1", 2: join("BASIC", "Basic plan"), 3: "PAY77", 4: "Fenwick Mutual", 36: f"M{who.mrn}"},
            )
        )
    if drawn.often(0.3):
        found.append(segment("ZPV", {1: "1", 2: chance.choice(("VIP", "no")), 3: join("meal", "vegetarian")}))
    return found


def adt(drawn: Drawn) -> tuple[str, list[str]]:
    """What happens to a stay; to an account, a number or a link, more seldom."""
    event = drawn.chance.choice(_SELDOM if drawn.often(0.2) else _OFTEN)
    lines = [evn(drawn, event), pid(drawn)]
    if event in ("A40", "A41", "A42", "A43", "A44", "A45", "A47"):
        account, visit = (join(f"{each}-{900_000 + drawn.number}", "", "", drawn.facility) for each in "AV")
        old = join(str(900_000 + drawn.number), "", "", drawn.facility, "MR")
        lines.append(segment("MRG", {1: old, 3: account, 5: visit if event in ("A42", "A45") else ""}))
        return f"ADT^{event}", [*lines, *([pv1(drawn)] if event in ("A42", "A45") else [])]
    if event in ("A17", "A24", "A37"):
        other = replace(drawn, patient=some_patient(drawn.seed, drawn.chance))
        stays = [pv1(drawn), pv1(other)] if event == "A17" else [segment("PD1", {12: "N"})] * 2
        return f"ADT^{event}", [*lines, stays[0], pid(other), stays[1]]
    if event in ("A28", "A31"):
        return f"ADT^{event}", lines
    kind = "E" if event == "A04" else drawn.chance.choice(("I", "I", "O", "E"))
    return f"ADT^{event}", [*lines, pv1(drawn, kind=kind, ended=event == "A03"), *more(drawn)]


def _order(drawn: Drawn, number: int, status: str) -> tuple[str, str]:
    chance = drawn.chance
    placer, filler = f"P{drawn.number}-{number}", f"F{drawn.number}-{number}"
    code, name = chance.choice(_PANELS)
    orc = segment(
        "ORC",
        {1: chance.choice(("NW", "RE")), 2: placer, 3: filler, 9: drawn.now(), 12: person(drawn.doctor)},
    )
    fields = {1: str(number), 2: placer, 3: filler, 4: join(code, name, "LN"), 7: drawn.earlier(24)}
    return orc, segment("OBR", {**fields, 16: person(drawn.doctor), 25: status})


def obx(drawn: Drawn, number: int, seen: Counter[str]) -> str:
    """One result: a number, a comparison, a code or a text. A code that its order has had gets a sub-ID."""
    chance = drawn.chance
    code, name, unit, normal = chance.choice(_TESTS)
    seen[code] += 1
    kind = chance.choice(("NM", "NM", "NM", "SN", "CWE", "ST", "TX"))
    value = {
        "NM": f"{chance.uniform(0.5, 300):.{chance.randint(0, 2)}f}",
        "SN": join(chance.choice((">", "<", ">=")), str(chance.randint(1, 500))),
        "CWE": join("112283007", "E. coli", "SCT"),
        "ST": chance.choice(("negative", "positive", "trace")),
        "TX": text(chance.choice(_NOTES)),
    }[kind]
    again = str(seen[code]) if seen[code] > 1 else ""
    fields = {1: str(number), 2: kind, 3: join(code, name, "LN"), 4: again, 5: value, 6: unit, 7: normal}
    return segment(
        "OBX",
        {**fields, 8: chance.choice(("N", "H", "L", "")), 11: chance.choice("FFFPC"), 14: drawn.earlier(8)},
    )


def oru(drawn: Drawn) -> tuple[str, list[str]]:
    """Results: orders with their observations and notes."""
    lines = [pid(drawn)] + ([pv1(drawn)] if drawn.often(0.5) else [])
    for number in range(1, drawn.chance.randint(1, 3) + 1):
        lines += _order(drawn, number, drawn.chance.choice("FFPC"))[0 if drawn.often(0.8) else 1 :]
        seen: Counter[str] = Counter()
        for sub in range(1, drawn.chance.randint(1, 8) + 1):
            lines.append(obx(drawn, sub, seen))
            if drawn.often(0.2):
                lines.append(segment("NTE", {1: "1", 3: text(drawn.chance.choice(_NOTES))}))
    return "ORU^R01", lines


def orm(drawn: Drawn) -> tuple[str, list[str]]:
    """Orders."""
    lines = [pid(drawn), pv1(drawn)]
    for number in range(1, drawn.chance.randint(1, 3) + 1):
        lines += _order(drawn, number, "")
    return "ORM^O01", lines


def siu(drawn: Drawn) -> tuple[str, list[str]]:
    """An appointment that is made, moved or cancelled."""
    event = drawn.chance.choice(("S12", "S13", "S14", "S15"))
    start = drawn.now()
    sch = {
        1: f"AP{drawn.number}",
        6: join("CHECKUP", "Check-up"),
        7: join("ROUTINE", "Routine"),
        9: "30",
        10: "MIN",
    }
    lines = [
        segment("SCH", {**sch, 11: join("", "", "30", start), 25: "Booked"}),
        pid(drawn),
        pv1(drawn, kind="O"),
    ]
    lines += [segment("RGS", {1: "1"}), segment("AIP", {1: "1", 3: person(drawn.doctor), 6: start})]
    return f"SIU^{event}", [*lines, segment("AIL", {1: "1", 3: join("CLINIC2", "", "", drawn.facility)})]


def dft(drawn: Drawn) -> tuple[str, list[str]]:
    """Charges."""
    chance = drawn.chance
    lines = [evn(drawn, "P03"), pid(drawn), pv1(drawn)]
    for number in range(1, chance.randint(1, 4) + 1):
        amount = f"{chance.randint(1, 400)}.{chance.randrange(100):02}"
        fields = {
            1: str(number),
            2: f"T{drawn.number}-{number}",
            4: drawn.earlier(24)[:8],
            6: chance.choice(("CG", "CG", "CR")),
        }
        fields |= {
            7: join(chance.choice(("99213", "71046", "80053")), "", "C4"),
            10: str(chance.randint(1, 3)),
            11: amount,
        }
        lines.append(segment("FT1", {**fields, 13: chance.choice(("LAB", "RAD")), 20: person(drawn.doctor)}))
    return "DFT^P03", lines


def mdm(drawn: Drawn) -> tuple[str, list[str]]:
    """A document with its text."""
    lines = [evn(drawn, "T02"), pid(drawn), pv1(drawn)]
    lines.append(
        segment(
            "TXA",
            {1: "1", 2: join("DS", "Discharge summary"), 4: drawn.now(), 12: f"D{drawn.number}", 17: "AU"},
        )
    )
    body = [drawn.chance.choice(_NOTES) for _ in range(drawn.chance.randint(1, 5))]
    return "MDM^T02", lines + [
        segment(
            "OBX",
            {1: str(number), 2: "TX", 3: join("18842-5", "Discharge summary", "LN"), 5: text(line), 11: "F"},
        )
        for number, line in enumerate(body, 1)
    ]


def vxu(drawn: Drawn) -> tuple[str, list[str]]:
    """An immunization."""
    code, name = drawn.chance.choice(_VACCINES)
    rxa = {1: "0", 2: "1", 3: drawn.earlier(48)[:8], 5: join(code, text(name), "CVX"), 6: "0.5", 7: "mL"}
    lines = [
        pid(drawn),
        segment("ORC", {1: "RE", 3: f"IZ{drawn.number}"}),
        segment("RXA", {**rxa, 15: f"LOT{drawn.number % 97}", 20: "CP"}),
    ]
    return "VXU^V04", [*lines, segment("RXR", {1: join("IM", "Intramuscular", "HL70162")})]


def rde(drawn: Drawn) -> tuple[str, list[str]]:
    """A pharmacy order."""
    code, name, unit = drawn.chance.choice(_DRUGS)
    orc = segment("ORC", {1: "NW", 2: f"RX{drawn.number}", 9: drawn.now(), 12: person(drawn.doctor)})
    rxe = {1: join("", "Q8H"), 2: join(code, text(name), "NDC"), 3: str(drawn.chance.randint(1, 50)), 5: unit}
    return "RDE^O11", [
        pid(drawn),
        pv1(drawn),
        orc,
        segment("RXE", rxe),
        segment("RXR", {1: join("PO", "Oral")}),
    ]


def mfn(drawn: Drawn) -> tuple[str, list[str]]:
    """A clinician in the master file."""
    who = drawn.doctor
    lines = [segment("MFI", {1: join("PRA", "Practitioner"), 3: "UPD", 6: "NE"})]
    lines.append(segment("MFE", {1: "MUP", 2: f"M{drawn.number}", 4: who.npi, 5: "CE"}))
    lines.append(
        segment(
            "STF",
            {1: who.npi, 2: join(who.npi, "", "", "NPI"), 3: join(text(who.family), text(who.given)), 7: "A"},
        )
    )
    return "MFN^M02", [*lines, segment("PRA", {1: who.npi, 3: "ST", 5: join("207R00000X", "", "I")})]


TYPES: Final[Mapping[str, Callable[[Drawn], tuple[str, list[str]]]]] = {
    "ADT": adt,
    "ORM": orm,
    "ORU": oru,
    "SIU": siu,
    "DFT": dft,
    "MDM": mdm,
    "VXU": vxu,
    "RDE": rde,
    "MFN": mfn,
}


def message(kind: str, seed: int, number: int) -> bytes:
    """Message ``number`` (from 0) of a kind and a seed. Each is made by itself: more of them change none."""
    chance = chance_of(f"{seed}/{kind}/{number}")
    drawn = Drawn(
        chance,
        number,
        seed,
        chance.choice(FACILITIES),
        some_patient(seed, chance),
        clinician(chance),
        chance.choice(VERSIONS),
    )
    name, lines = TYPES[kind](drawn)
    charset, codec = chance.choice(
        (("UNICODE UTF-8", "utf-8"), ("UNICODE UTF-8", "utf-8"), ("8859/1", "latin-1"))
    )
    header = {
        3: "EHR",
        4: drawn.facility,
        5: "BRIDGE",
        6: "HUB",
        7: drawn.now(),
        9: name,
        10: f"{kind}{seed}-{number:06}",
    }
    head = segment("MSH", {2: "^~\\&", **header, 11: "P", 12: drawn.version, 18: charset})
    # MSH-1 is the separator itself.
    whole = "MSH|" + head.removeprefix("MSH||")
    return ("\r".join([whole, *lines]) + "\r").encode(codec, "replace")


def messages(kind: str, seed: int, count: int) -> Iterator[bytes]:
    """The first ``count`` messages of a kind and a seed."""
    for number in range(count):
        yield message(kind, seed, number)
