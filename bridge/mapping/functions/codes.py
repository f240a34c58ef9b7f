"""Functions on codes and numbers that others give out: check digits, one way of writing, names of systems.

What cannot be such a code is refused (R020); a rule's `on_error` says what then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Final

from bridge.mapping.signature import Checked
from bridge.mapping.values import ValueRefused

SYSTEMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "LN": "http://loinc.org",
        "LOINC": "http://loinc.org",
        "2.16.840.1.113883.6.1": "http://loinc.org",
        "SCT": "http://snomed.info/sct",
        "SNM": "http://snomed.info/sct",
        "SNOMED": "http://snomed.info/sct",
        "2.16.840.1.113883.6.96": "http://snomed.info/sct",
        "RXNORM": "http://www.nlm.nih.gov/research/umls/rxnorm",
        "2.16.840.1.113883.6.88": "http://www.nlm.nih.gov/research/umls/rxnorm",
        "UCUM": "http://unitsofmeasure.org",
        "2.16.840.1.113883.6.8": "http://unitsofmeasure.org",
        "I10": "http://hl7.org/fhir/sid/icd-10-cm",
        "I10C": "http://hl7.org/fhir/sid/icd-10-cm",
        "ICD10": "http://hl7.org/fhir/sid/icd-10-cm",
        "2.16.840.1.113883.6.90": "http://hl7.org/fhir/sid/icd-10-cm",
        "I9C": "http://hl7.org/fhir/sid/icd-9-cm",
        "I9": "http://hl7.org/fhir/sid/icd-9-cm",
        "2.16.840.1.113883.6.103": "http://hl7.org/fhir/sid/icd-9-cm",
        "C4": "http://www.ama-assn.org/go/cpt",
        "CPT": "http://www.ama-assn.org/go/cpt",
        "CPT4": "http://www.ama-assn.org/go/cpt",
        "2.16.840.1.113883.6.12": "http://www.ama-assn.org/go/cpt",
        "HCPCS": "http://terminology.hl7.org/CodeSystem/HCPCS",
        "HCPT": "http://terminology.hl7.org/CodeSystem/HCPCS",
        "2.16.840.1.113883.6.285": "http://terminology.hl7.org/CodeSystem/HCPCS",
        "NDC": "http://hl7.org/fhir/sid/ndc",
        "2.16.840.1.113883.6.69": "http://hl7.org/fhir/sid/ndc",
        "CVX": "http://hl7.org/fhir/sid/cvx",
        "2.16.840.1.113883.12.292": "http://hl7.org/fhir/sid/cvx",
        "MVX": "http://hl7.org/fhir/sid/mvx",
    }
)
"""Names of code systems in HL7 table 0396 and their object identifiers, and their URI in FHIR R4."""

UNITS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "MG/DL": "mg/dL",
        "G/DL": "g/dL",
        "GM/DL": "g/dL",
        "MMOL/L": "mmol/L",
        "UMOL/L": "umol/L",
        "NMOL/L": "nmol/L",
        "PMOL/L": "pmol/L",
        "MEQ/L": "meq/L",
        "U/L": "U/L",
        "IU/L": "[IU]/L",
        "MIU/L": "m[IU]/L",
        "UIU/ML": "u[IU]/mL",
        "NG/ML": "ng/mL",
        "PG/ML": "pg/mL",
        "UG/DL": "ug/dL",
        "MCG/DL": "ug/dL",
        "MG/L": "mg/L",
        "G/L": "g/L",
        "%": "%",
        "FL": "fL",
        "PG": "pg",
        "MM/HR": "mm/h",
        "MM/H": "mm/h",
        "SEC": "s",
        "S": "s",
        "K/UL": "10*3/uL",
        "10*3/UL": "10*3/uL",
        "10^3/UL": "10*3/uL",
        "X10E3/UL": "10*3/uL",
        "M/UL": "10*6/uL",
        "10*6/UL": "10*6/uL",
        "10^6/UL": "10*6/uL",
        "X10E6/UL": "10*6/uL",
        "10*9/L": "10*9/L",
        "10^9/L": "10*9/L",
        "10*12/L": "10*12/L",
        "10^12/L": "10*12/L",
        "MMHG": "mm[Hg]",
        "MM[HG]": "mm[Hg]",
        "KG": "kg",
        "LB": "[lb_av]",
        "LBS": "[lb_av]",
        "CM": "cm",
        "IN": "[in_i]",
        "BPM": "/min",
        "/MIN": "/min",
        "CEL": "Cel",
        "DEG C": "Cel",
        "DEG F": "[degF]",
        "ML/MIN/1.73M2": "mL/min/{1.73_m2}",
        "ML/MIN/1.73 M2": "mL/min/{1.73_m2}",
    }
)
"""Units as laboratories write them, in capitals, and in UCUM. What is not here is not guessed."""

_COUNTRY: Final = re.compile(r"[1-9][0-9]{0,2}")
_NATIONAL_DIGITS: Final = range(4, 13)


def code_system(text: str) -> str:
    """The URI of a code system by its name in HL7 table 0396 or its object identifier; others as they are.

    >>> code_system("LN"), code_system("99LAB")
    ('http://loinc.org', '99LAB')
    """
    bare = text.strip().removeprefix("urn:oid:")
    return SYSTEMS.get(bare.upper(), text.strip())


def unit_to_ucum(text: str) -> str:
    """A unit in UCUM; absent where it is none that is known.

    >>> unit_to_ucum("K/uL"), unit_to_ucum("mmHg"), unit_to_ucum("glasses")
    ('10*3/uL', 'mm[Hg]', '')
    """
    return UNITS.get(text.strip().upper(), "")


def country_mistake(country: str) -> str | None:
    """What is wrong with a calling code, or None.

    >>> country_mistake("+1")
    'a calling code is written in digits: 1, 49'
    """
    return None if _COUNTRY.fullmatch(country) else "a calling code is written in digits: 1, 49"


Country = Annotated[str, Checked(country_mistake)]


def normalize_phone(text: str, country: Country) -> str:
    """A telephone number in E.164; one without a calling code is of ``country``. An extension is left out.

    >>> normalize_phone("(512)555-0100 x12", "1"), normalize_phone("+49 341 555-0142", "1")
    ('+15125550100', '+493415550142')
    """
    bare = re.split(r"[xX]|ext", text.strip(), maxsplit=1)[0].strip()
    figures = "".join(each for each in bare if "0" <= each <= "9")
    if bare.startswith("+") or figures.startswith("00"):
        figures = figures.removeprefix("00")
    else:
        national = figures.removeprefix(country) if len(figures) > 10 else figures
        figures = country + (national if country == "1" else national.removeprefix("0"))
    if len(figures) - 1 not in range(_NATIONAL_DIGITS.start, 15):
        raise ValueRefused("R020", "no telephone number: too few or too many digits")
    return f"+{figures}"


def normalize_npi(text: str) -> str:
    """A national provider identifier: ten digits with the check digit that they must have.

    >>> normalize_npi(" 1234567893 ")
    '1234567893'
    """
    number = text.strip()
    if len(number) != 10 or not number.isascii() or not number.isdigit() or not _luhn("80840" + number):
        raise ValueRefused("R020", "no NPI: not ten digits, or the last one does not check")
    return number


def normalize_icd10(text: str) -> str:
    """A code of ICD-10-CM in capitals, with its point.

    >>> normalize_icd10("r079"), normalize_icd10("E11.9")
    ('R07.9', 'E11.9')
    """
    bare = text.strip().upper().replace(".", "")
    if re.fullmatch(r"[A-Z][0-9][0-9A-Z][0-9A-Z]{0,4}", bare) is None:
        raise ValueRefused("R020", "no code of ICD-10-CM")
    return bare if len(bare) == 3 else f"{bare[:3]}.{bare[3:]}"


def normalize_cpt(text: str) -> str:
    """A code of CPT or HCPCS: five characters, in capitals.

    >>> normalize_cpt(" j1100 "), normalize_cpt("99213")
    ('J1100', '99213')
    """
    bare = text.strip().upper()
    if re.fullmatch(r"[0-9]{4}[0-9A-Z]|[A-V][0-9]{4}", bare) is None:
        raise ValueRefused("R020", "no code of CPT or HCPCS")
    return bare


def _luhn(number: str) -> bool:
    total = 0
    for place, figure in enumerate(reversed(number)):
        value = int(figure) * (1 + place % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0


def _gs1(number: str) -> bool:
    # GS1 General Specifications §7.9: weights 3 and 1 from the right, the check digit being the last.
    total = sum(int(figure) * (3 if place % 2 else 1) for place, figure in enumerate(reversed(number)))
    return total % 10 == 0


def _mod11(number: str) -> bool:
    # As in the NHS number: weights 10 down to 2, and 11 less the rest is the last digit.
    if len(number) != 10:
        return False
    rest = sum(int(figure) * weight for figure, weight in zip(number, range(10, 1, -1), strict=False)) % 11
    return (11 - rest) % 11 == int(number[-1])


def _npi(number: str) -> bool:
    return len(number) == 10 and _luhn("80840" + number)


_SCHEMES: Final[Mapping[str, Callable[[str], bool]]] = MappingProxyType(
    {"luhn": _luhn, "npi": _npi, "gs1": _gs1, "mod11": _mod11}
)


def scheme_mistake(scheme: str) -> str | None:
    """What is wrong with the name of a scheme of check digits, or None.

    >>> scheme_mistake("crc")
    'one of luhn, npi, gs1, mod11'
    """
    return None if scheme in _SCHEMES else f"one of {', '.join(_SCHEMES)}"


Scheme = Annotated[str, Checked(scheme_mistake)]


def valid_checkdigit(text: str, scheme: Scheme) -> bool:
    """Whether the last digit checks: `luhn`, `npi`, `gs1` (GTIN, GLN, SSCC) or `mod11` (NHS number).

    >>> valid_checkdigit("4006381333931", "gs1"), valid_checkdigit("1234567890", "npi")
    (True, False)
    """
    number = text.strip()
    return number.isascii() and number.isdigit() and _SCHEMES[scheme](number)


def gtin14(text: str) -> str:
    """A GTIN of 8, 12, 13 or 14 digits as one of 14, if its check digit is right.

    >>> gtin14("4006381333931")
    '04006381333931'
    """
    number = text.strip()
    if not number.isascii() or not number.isdigit() or len(number) not in (8, 12, 13, 14) or not _gs1(number):
        raise ValueRefused("R020", "no GTIN: a wrong number of digits, or the last one does not check")
    return number.zfill(14)


_UDI_PARTS: Final = ("di", "lot", "expiry", "serial")
_GS1_FIXED: Final[Mapping[str, int]] = MappingProxyType({"01": 14, "11": 6, "17": 6, "00": 18, "15": 6})


def udi_mistake(part: str) -> str | None:
    """What is wrong with the name of a part of a UDI, or None.

    >>> udi_mistake("batch")
    'one of di, lot, expiry, serial'
    """
    return None if part in _UDI_PARTS else f"one of {', '.join(_UDI_PARTS)}"


UdiPart = Annotated[str, Checked(udi_mistake)]


def udi(text: str, part: UdiPart) -> str:
    """A part of a device's UDI, as GS1 or HIBC write it: `di`, `lot`, `expiry` (a day) or `serial`.

    >>> udi("(01)04006381333931(17)270131(10)A7", "lot"), udi("010400638133393117270131", "expiry")
    ('A7', '2027-01-31')
    """
    found = _hibc(text.strip()) if text.strip().startswith("+") else _gs1_parts(text.strip())
    return found.get(part, "")


def _gs1_parts(text: str) -> dict[str, str]:
    names = {"01": "di", "10": "lot", "17": "expiry", "21": "serial"}
    pieces: dict[str, str] = {}
    rest = text.removeprefix("]d2").removeprefix("]C1")
    if rest.startswith("("):
        pieces = dict(re.findall(r"\(([0-9]{2,4})\)([^()]*)", rest))
    while rest and not rest.startswith("("):
        identifier, rest = rest[:2], rest[2:]
        size = _GS1_FIXED.get(identifier)
        if size is None:
            value, _, rest = rest.partition("\x1d")
        else:
            value, rest = rest[:size], rest[size:].removeprefix("\x1d")
        pieces[identifier] = value
    if "01" not in pieces or not pieces["01"].isdigit():
        raise ValueRefused("R020", "no UDI of GS1: it has no (01)")
    found = {names[each]: value for each, value in pieces.items() if each in names}
    if "expiry" in found:
        found["expiry"] = _day_of_gs1(found["expiry"])
    return found


def _day_of_gs1(text: str) -> str:
    """YYMMDD; 00 as the day is the last of the month (GS1 General Specifications §3.4)."""
    if re.fullmatch(r"[0-9]{6}", text) is None or not 1 <= int(text[2:4]) <= 12:
        raise ValueRefused("R020", "the expiry of a UDI is no day")
    year, month, day = 2000 + int(text[:2]), text[2:4], text[4:]
    return f"{year}-{month}" if day == "00" else f"{year}-{month}-{day}"


def _hibc(text: str) -> dict[str, str]:
    """ANSI/HIBC 2.6: `+`, labeler, product and unit; behind slashes lot, serial and expiry."""
    primary, _, secondary = text[1:].partition("/")
    if len(primary) < 6 or not primary.isalnum():
        raise ValueRefused("R020", "no UDI of HIBC")
    found = {"di": primary[:-1] if not secondary else primary}
    for piece in filter(None, secondary.split("/")):
        if piece.startswith("14D"):
            found["expiry"] = f"{piece[3:7]}-{piece[7:9]}-{piece[9:11]}"
        elif piece.startswith("S"):
            found["serial"] = piece[1:]
        elif piece.startswith("$+"):
            found["serial"] = piece[2:]
        elif piece.startswith("$"):
            found["lot"] = piece[1:].lstrip("$")
    return found
