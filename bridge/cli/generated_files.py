"""Synthetic files of X12, rows and XML, the same for the same seed: `bridge generate`. All is invented."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from typing import Final

from bridge.cli.generated import message
from bridge.cli.generated_edifact import MESSAGES, interchange
from bridge.cli.generated_entry import FIRST_DAY, ITEMS, Entry, entry_of
from bridge.cli.generated_xml import dispenses
from bridge.cli.invented import FACILITIES, WARDS, clinician, some_patient

_PROCEDURES: Final = ("99213", "99284", "71046", "80053", "36415")
_DIAGNOSES: Final = ("J189", "R079", "I10", "E119")


def _plain(text: str) -> str:
    """A name as X12's people write it: capitals of the basic set, without what separates."""
    return text.upper().encode("ascii", "ignore").decode().replace("'", "")


def _claim(entry: Entry) -> list[str]:
    """A subscriber with a claim, who may be somebody else's dependant."""
    who, chance = some_patient(entry.seed, entry.chance), entry.chance
    told = f"NM1*{{}}*1*{_plain(who.family)}*{_plain(who.given)}{{}}"
    dependant = entry.often(0.3)
    level = 2 * entry.number + 2
    lines = [f"HL*{level}*1*22*{int(dependant)}", f"SBR*P*{'' if dependant else '18'}*G-1******CI"]
    born = f"DMG*D8*{who.born:%Y%m%d}*{who.sex if who.sex in 'FM' else 'U'}"
    person = ["N3*3 OAK ST", "N4*FENWICK*TX*78702", born]
    lines += [told.format("IL", f"****MI*M{who.mrn}"), *person, "NM1*PR*2*FENWICK MUTUAL*****PI*PAY77"]
    if dependant:
        lines += [f"HL*{level + 1}*{level}*23*0", "PAT*19", told.format("QC", ""), *person]
    amounts = [chance.randint(1, 400) for _ in range(chance.randint(1, 4))]
    frequency = chance.choice("1117")
    lines += [f"CLM*PCN-{entry.number}*{sum(amounts)}***11:B:{frequency}*Y*A*Y*Y"]
    lines += [f"REF*F8*ICN-{entry.number}"] if frequency == "7" else []
    codes = chance.sample(_DIAGNOSES, chance.randint(1, 3))
    lines += ["HI*" + "*".join(f"{'ABF' if at else 'ABK'}:{code}" for at, code in enumerate(codes))]
    doctor = clinician(chance)
    lines += [f"NM1*82*1*{_plain(doctor.family)}*{_plain(doctor.given)}****XX*{doctor.npi}"]
    for number, amount in enumerate(amounts, 1):
        modifier = ":25" if entry.often(0.2) else ""
        lines += [f"LX*{number}", f"SV1*HC:{chance.choice(_PROCEDURES)}{modifier}*{amount}*UN*1***1"]
        start = entry.day
        ranged = f"RD8*{start:%Y%m%d}-{start + timedelta(days=1):%Y%m%d}"
        lines += [f"DTP*472*{ranged if entry.often(0.1) else f'D8*{start:%Y%m%d}'}"]
    return lines


def _claim_status(entry: Entry) -> list[str]:
    who, chance, n = some_patient(entry.seed, entry.chance), entry.chance, entry.number
    code = chance.choice(("F1:65", "P1:20", "A2:20", "F2:80"))
    paid = f"*{entry.money(200)}*{entry.day:%Y%m%d}*CHK*{entry.day:%Y%m%d}*CK-{n}" if code == "F1:65" else ""
    return [
        f"HL*{n + 4}*3*22*0",
        f"NM1*IL*1*{_plain(who.family)}*{_plain(who.given)}****MI*M{who.mrn}",
        f"TRN*2*ASK-{n}",
        f"STC*{code}*{entry.day:%Y%m%d}**{entry.money(400)}{paid}",
        *([f"REF*1K*ICN-{n}"] if entry.often(0.8) else []),
        f"REF*EJ*PCN-{n}",
        f"DTP*472*D8*{entry.day:%Y%m%d}",
    ]


def _bought(entry: Entry, name: str) -> list[str]:
    lines = []
    for number in range(1, entry.chance.randint(1, 4) + 1):
        vendor, own, gtin, what, unit = entry.chance.choice(ITEMS)
        numbers = f"VN*{vendor}*IN*{own}" + (f"*UK*{gtin}" if gtin else "")
        price = entry.money(90)
        lines += [f"{name}*{number}*{entry.chance.randint(1, 20)}*{unit}*{price}**{numbers}"]
        lines += [f"PID*F****{what}"]
    return lines


def _purchase_order(entry: Entry) -> list[str]:
    purpose = entry.chance.choice(("00", "00", "00", "05", "01"))
    parties = [f"N1*BY*{name}*91*{name}" for name in (entry.chance.choice(FACILITIES),)]
    lines = [f"BEG*{purpose}*SA*PO-{entry.number}**{entry.day:%Y%m%d}", "CUR*BY*USD", *parties]
    lines += ["N1*SE*FENWICK SUPPLIES*91*SUP-1", f"DTM*002*{entry.day:%Y%m%d}"]
    return [*lines, *_bought(entry, "PO1"), "CTT*1"]


def _invoice(entry: Entry) -> list[str]:
    kind = entry.chance.choice(("DI", "DI", "PR", "CR"))
    lines = [f"BIG*{entry.day:%Y%m%d}*INV-{entry.number}**PO-{entry.number}***{kind}", "CUR*SE*USD"]
    lines += ["N1*SE*FENWICK SUPPLIES*91*SUP-1", f"N1*BY*NORTH*91*{entry.chance.choice(FACILITIES)}"]
    lines += [
        f"ITD*01*3****{entry.day:%Y%m%d}",
        *_bought(entry, "IT1"),
        f"TDS*{entry.chance.randint(100, 90_000)}",
    ]
    lines += ["TXI*ST*1.25*7"] if entry.often(0.5) else []
    return [*lines, *(["SAC*C*D240***700"] if entry.often(0.4) else []), "CTT*1"]


def _consumption(entry: Entry) -> list[str]:
    who, chance, n = some_patient(entry.seed, entry.chance), entry.chance, entry.number
    _, own, gtin, what, unit = chance.choice(ITEMS)
    implanted = entry.often(0.2)
    udi = f"(01){gtin}(17)271231(10)L-{n % 7}(21)S-{n}" if implanted and gtin else ""
    at = f"{entry.day:%Y-%m-%d} {chance.randrange(24):02}:{chance.randrange(60):02}"
    place = [chance.choice(FACILITIES), chance.choice(WARDS)]
    used = [chance.choice(("1", "2", "-1", "0.5")), unit, chance.choice(("U", "W", "R", "")), at]
    patient = [who.mrn, f"V-{who.mrn}-1", "27130"] if implanted else ["", "", ""]
    lot = ["", "", ""] if udi else [f"L-{n % 7}", "2027-12-31", ""]
    return [
        f"USE-{n}",
        *place,
        own,
        gtin,
        udi,
        what,
        *lot,
        *used,
        *patient,
        entry.money(200),
        "USD",
        "7010",
        "9",
        "",
    ]


def _shift(entry: Entry) -> list[str]:
    chance, day = entry.chance, entry.day
    night = entry.often(0.3)
    start, end = (
        (f"{day} 19:00", f"{day + timedelta(days=1)} 07:00") if night else (f"{day} 07:00", f"{day} 19:00")
    )
    status = chance.choice(("PLANNED", "PLANNED", "WORKED", "C"))
    which = [
        f"S-{entry.number}" if entry.often(0.9) else "",
        chance.choice(FACILITIES),
        f"E-{chance.randrange(400)}",
    ]
    what = [
        chance.choice(WARDS),
        chance.choice(("RN", "MD", "LPN")),
        status,
        "REG",
        chance.choice(("11.5", "12")),
    ]
    return [*which, start, end, *what, "7010", ""]


_ACCOUNTS: Final = ("1100", "1200", "2100", "4000", "5100")
_LEDGER: Final = "H,GL,J-{seed},{made:%Y-%m},{made:%Y-%m-%d},USD,AP,Month end,P,"
"""What all lines of a journal share, in the columns that `mappings/feeds/gl-postings.yaml` names."""


def _posting(entry: Entry) -> list[list[str]]:
    """A debit and the credit that it is balanced by, of one company and currency."""
    chance, amount = entry.chance, f"{entry.chance.randint(1, 9000)}.{entry.chance.randrange(100):02}"
    debit, credit = chance.sample(_ACCOUNTS, 2)
    company, nothing = chance.choice(FACILITIES), chance.choice(("", "0.00"))
    center = chance.choice(("7010", "7020", ""))
    project = f"P-{chance.randint(1, 9)}" if entry.often(0.3) else ""
    memo = chance.choice(("", "drugs", "linen, towels", "reversal of a wrong month"))
    if entry.often(0.1):
        amount = f"-{amount}"
    line = 2 * entry.number
    return [
        ["L", f"{line + 1}", debit, amount, nothing, "", center, company, project, memo],
        ["L", f"{line + 2}", credit, nothing, amount, "", "", company, "", ""],
    ]


_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "consumption": tuple(
        "transaction_id facility location item_no gtin udi description lot expiry serial quantity unit reason"
        " consumed_at mrn visit procedure cost currency cost_center on_hand used_by".split()
    ),
    "shifts": tuple(
        "shift_id facility employee start end unit role status pay_code hours cost_center replaces".split()
    ),
}
_ROWS: Final[Mapping[str, Callable[[Entry], list[str]]]] = {"shifts": _shift}
_BEGINS: Final[Mapping[str, tuple[str, str, str, list[str]]]] = {
    "837": (
        "HC",
        "005010X222A1",
        "BHT*0019*00*B-1*{made}*0759*CH",
        [
            *("NM1*41*2*NORTH BILLING*****46*NB1", "PER*IC*DESK*TE*5125550100", "NM1*40*2*HUB*****46*HUB"),
            *("HL*1**20*1", "NM1*85*2*NORTH CLINIC*****XX*1234567893"),
            *("N3*1 MAIN ST", "N4*FENWICK*TX*78701", "REF*EI*741234567"),
        ],
    ),
    "277": (
        "HN",
        "005010X212",
        "BHT*0010*08*Q-1*{made}*0759*DG",
        [
            *("HL*1**20*1", "NM1*PR*2*FENWICK MUTUAL*****PI*PAY77", "HL*2*1*21*1"),
            *("NM1*41*2*NORTH BILLING*****46*NB1", "HL*3*2*19*1", "NM1*1P*2*NORTH CLINIC*****XX*1234567893"),
        ],
    ),
}
"""Of transactions with many entries: functional code, implementation, and what stands before them."""
_OWN: Final[Mapping[str, tuple[str, Callable[[Entry], list[str]]]]] = {
    "850": ("PO", _purchase_order),
    "810": ("IN", _invoice),
}
"""Of entries that are transactions by themselves."""
_CODES: Final[Mapping[str, tuple[str, str]]] = {
    "835": ("HP", "005010X221A1"),
    **{kind: begins[:2] for kind, begins in _BEGINS.items()},
    **{kind: (code, "005010") for kind, (code, _) in _OWN.items()},
}
"""Functional code and implementation."""
_IN_ONE: Final = {"837": _claim, "277": _claim_status}
TYPES: Final = (
    *("837", "277", "835", "850", "810", "orders", "invoic"),
    *("consumption", "shifts", "charges", "results", "gl", "dispenses"),
)
_CLAIMS_IN_A_PAYMENT: Final = 100
_OVERPUNCHED: Final = ("{ABCDEFGHI", "}JKLMNOPQR")
"""The last digit of what is not negative, and of what is."""


def _paid(entry: Entry) -> tuple[int, int]:
    """What a claim came to and what is paid of it, in cents."""
    charged = entry.chance.randint(1_000, 90_000)
    return charged, charged * entry.chance.randrange(101) // 100


def _dollars(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02}"


def _remitted(entry: Entry) -> list[str]:
    charged, paid = _paid(entry)
    who, code, own = some_patient(entry.seed, entry.chance), entry.chance.choice(_PROCEDURES), charged - paid
    adjusted = [f"CAS*CO*45*{_dollars(own)}"] if own else []
    number, amounts = entry.number, f"{_dollars(charged)}*{_dollars(paid)}"
    return [
        f"CLP*PCN-{number}*{1 if paid else 4}*{amounts}**12*ICN-{number}",
        f"NM1*QC*1*{_plain(who.family)}*{_plain(who.given)}****MI*M{who.mrn}",
        f"SVC*HC:{code}*{amounts}**1",
        f"DTM*472*{entry.day:%Y%m%d}",
        *adjusted,
    ]


def _payments(seed: int, count: int, made: date) -> Iterator[Iterator[str]]:
    """Payments, each of so many claims, which says before them what they come to."""

    def payment(first: int, last: int) -> Iterator[str]:
        cents = sum(_paid(entry_of("835", seed, number, made))[1] for number in range(first, last))
        bank = "C*ACH*CCP*01*999999992*DA*1*1512345678**01*999988880*DA*2"
        yield f"BPR*I*{_dollars(cents)}*{bank}*{made:%Y%m%d}"
        yield f"TRN*1*P-{seed}-{first}*1512345678"
        yield from (f"DTM*405*{made:%Y%m%d}", "N1*PR*FENWICK MUTUAL", "N3*2 MAIN ST", "N4*FENWICK*TX*78701")
        yield "PER*BL*DESK*TE*5125550100"
        yield from ("N1*PE*NORTH CLINIC*XX*1234567893", "LX*1")
        for number in range(first, last):
            yield from _remitted(entry_of("835", seed, number, made))

    for first in range(0, count, _CLAIMS_IN_A_PAYMENT):
        yield payment(first, min(count, first + _CLAIMS_IN_A_PAYMENT))


def _charges(seed: int, count: int, made: date) -> Iterator[str]:
    """Rows of fixed width between a header with the business date and a trailer with count and sum."""
    yield f"H{made:%Y%m%d}\n"
    total = 0
    for number in range(count):
        entry = entry_of("charges", seed, number, made)
        chance, day = entry.chance, made - timedelta(days=entry.chance.choice((0, 0, 1, 1, 2, 9)))
        cents = chance.randint(100, 500_000) * chance.choice((1, 1, 1, 1, -1))
        total += cents
        account, code, quantity = chance.randrange(400) + 1, chance.choice(_PROCEDURES), chance.randint(1, 4)
        amount = f"{abs(cents) // 10:08}{_OVERPUNCHED[cents < 0][abs(cents) % 10]}"
        yield f"D{account:010}{day:%Y%m%d}{code:7}C{quantity:05}{amount}{chance.choice(WARDS)[:4]:4}\n"
    yield f"T{count:07}{'-' if total < 0 else ''}{abs(total):0{11 if total < 0 else 12}}\n"


_MRN: Final = re.compile(rb"[\r\n]PID[^\r\n]*\^MR\b")


def batch_of_results(seed: int, count: int, made: date = FIRST_DAY) -> Iterator[bytes]:
    """Results in a batch of HL7 v2 with its counts, of patients who have a medical record number."""
    of = f"|^~\\&|LAB|NORTH|HUB|NORTH|{made:%Y%m%d}0800"
    yield f"FHS{of}\rBHS{of}||||B-{seed}\r".encode()
    known = (each for number in itertools.count() if _MRN.search(each := message("ORU", seed, number)))
    for each in itertools.islice(known, count):
        yield each.rstrip(b"\r\n") + b"\r"
    yield b"BTS|%d\rFTS|1\r" % count


def _ledger(seed: int, count: int, made: date) -> Iterator[str]:
    """A journal: a header with what all lines share, and for each entry a debit and a credit."""
    yield _LEDGER.format(seed=seed, made=made) + "\n"
    for number in range(count):
        yield from (_row(line) + "\n" for line in _posting(entry_of("gl", seed, number, made)))


def _stock(seed: int, count: int, made: date) -> Iterator[str]:
    """Rows of stock that was used, and after them a trailer with how many there are and what they cost."""
    yield ",".join(_COLUMNS["consumption"]) + "\n"
    cost, at = Decimal(0), _COLUMNS["consumption"].index("cost")
    for number in range(count):
        values = _consumption(entry_of("consumption", seed, number, made))
        cost += Decimal(values[at])
        yield _row(values) + "\n"
    yield f"TRL,{count},{cost:f}\n"


_WHOLE: Final[Mapping[str, Callable[[int, int, date], Iterator[str]]]] = {
    "charges": _charges,
    "gl": _ledger,
    "dispenses": dispenses,
    "consumption": _stock,
    **{kind: partial(interchange, kind) for kind in MESSAGES},
}
"""Files that are made as a whole."""


def _row(values: list[str]) -> str:
    return ",".join(f'"{each}"' if "," in each else each for each in values)


def whole_file(kind: str, seed: int, count: int, made: date = FIRST_DAY) -> Iterator[str]:
    """A file of ``count`` entries of a day, line by line.

    Each entry is made by itself, so that more of them change none, and memory does not grow.
    """
    if kind in _ROWS:
        yield ",".join(_COLUMNS[kind]) + "\n"
        for number in range(count):
            yield _row(_ROWS[kind](entry_of(kind, seed, number, made))) + "\n"
        return
    if kind in _WHOLE:
        yield from _WHOLE[kind](seed, count, made)
        return
    control, (code, version) = f"{seed % 10**9:09}", _CODES[kind]
    names = f"ZZ*{'NORTH':15}*ZZ*{'HUB':15}"
    yield f"ISA*00*{'':10}*00*{'':10}*{names}*{made:%y%m%d}*0800*^*00501*{control}*0*T*:~\n"
    yield f"GS*{code}*NORTH*HUB*{made:%Y%m%d}*0800*1*X*{version}~\n"
    if kind == "835":
        sets = _payments(seed, count, made)
    else:
        make = _in_one if kind in _IN_ONE else _by_themselves
        sets = make(kind, seed, count, made)
    transactions = 0
    for lines in sets:
        transactions += 1
        size = 1
        yield f"ST*{kind}*{transactions:04}{f'*{version}' if kind in _BEGINS else ''}~\n"
        for each in lines:
            size += 1
            yield f"{each}~\n"
        yield f"SE*{size + 1}*{transactions:04}~\n"
    yield f"GE*{transactions}*1~\nIEA*1*{control}~\n"


def lines_of(kind: str, seed: int, count: int, made: date) -> Iterator[bytes]:
    """The bytes of a file of any kind, piece by piece."""
    if kind == "results":
        return batch_of_results(seed, count, made)
    return (line.encode() for line in whole_file(kind, seed, count, made))


def _in_one(kind: str, seed: int, count: int, made: date) -> Iterator[Iterator[str]]:
    def lines() -> Iterator[str]:
        _, _, header, begin = _BEGINS[kind]
        yield from (header.format(made=f"{made:%Y%m%d}"), *begin)
        for number in range(count):
            yield from _IN_ONE[kind](entry_of(kind, seed, number, made))

    yield _without_gaps(lines())


def _without_gaps(lines: Iterator[str]) -> Iterator[str]:
    """Levels numbered from 1 as they come (HL01): entries number theirs by themselves, with room between."""
    count, last = 0, {"": ""}
    for each in lines:
        if not each.startswith("HL*"):
            yield each
            continue
        count += 1
        _, level, parent, rest = each.split("*", 3)
        yield f"HL*{count}*{last.get(parent, parent)}*{rest}"
        last = {level: str(count)}  # a parent is the level right before, or one of the first, which stay


def _by_themselves(kind: str, seed: int, count: int, made: date) -> Iterator[Iterator[str]]:
    for number in range(count):
        yield iter(_OWN[kind][1](entry_of(kind, seed, number, made)))
