"""Words that make a whole part of a record: `names: name(PID-5(*))`, and not a rule for each component.

A constructor stands for rules as somebody would write them out, and they are put in its place as a file is
read. So what it makes is checked, generated, traced and accounted for as everything else is. `{}` stands for
the field that it is given, `{2}` for the second one.
"""

from __future__ import annotations

from collections.abc import Mapping as Dict
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from pydantic import BaseModel

from bridge.canonical.values import Address, Attachment, Code, Contact, Identifier, Name, Person


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule with more than its sources: a table of HL7, or what becomes of a value that cannot be read."""

    sources: tuple[str, ...]
    table: str = ""
    on_error: str = ""


Template = str | tuple[str, ...] | Rule | dict[str, Rule | str]
"""One rule: a source, several of which the first counts, a rule with more, or the rules of a part."""


@dataclass(frozen=True, slots=True)
class Constructor:
    """One constructor. ``makes`` None: it sets fields of the record itself, beside those set by hand.

    ``of`` is the data type of HL7 v2 that it reads, ``example`` a field and what comes of it.
    """

    name: str
    of: str
    summary: str
    rules: Dict[str, Template]
    makes: type[BaseModel] | None = None
    takes: tuple[str, ...] = ("field",)
    optional: int = 0
    example: tuple[str, Dict[str, object]] = ("", MappingProxyType({}))


def _text_of(*codes: str) -> str:
    return ", ".join(f"'{code}'" for code in codes)


_MAIL: Final = _text_of("Internet", "X.400")
_NO_USE: Final = _text_of("ASN", "EMR", "NET", "BPN")
# What stands before an extension (XTN.1: X and its digits), behind a word such as Tel.
_NUMBER: Final = "^[^0-9A-Za-z]*(?:[A-Za-z]+[. :]*)?([^A-Za-z]*)"
_CODED: Final = _text_of("CE", "CWE", "CNE", "CF", "IS", "ID")
_WRITTEN: Final = _text_of("ST", "TX", "FT", "GTS", "TM")
_TIMED: Final = _text_of("DT", "TS", "DTM")
_NUMBERS: Final = _text_of("NM", "SN", "NR", "CQ", "MO", "SI")
_FILED: Final = _text_of("ED", "RP")
_JOINED: Final = _text_of("CX", "XPN", "PN", "XAD", "AD", "XTN", "TN", "XCN", "CN", "XON", "EI", "PL", "CK")
_KNOWN: Final = f"{_CODED}, {_WRITTEN}, {_TIMED}, {_NUMBERS}, {_FILED}, {_JOINED}"

_CODE: Final[Dict[str, Template]] = {
    "code": ("{}.1", "{}.4"),
    "display": ("if(present({}.1), {}.2, {}.5)",),
    "system": ("if(present({}.1), {}.3, {}.6)",),
    "sent_code": "if(present({}.1), {}.4)",
    "sent_system": "if(present({}.1), {}.6)",
    "sent_text": ("{}.9", "if(present({}.1), {}.5)"),
}
_ATTACHMENT: Final[Dict[str, Template]] = {
    "digest": Rule(("digest({}.5, first_of({}.4, 'A'))", "digest({}.1, 'A')"), on_error="null"),
    "media_type": "media_type(first_of({}.2, {}.3), if(present({}.5), {}.3, {}.4))",
    "size_bytes": Rule(("size_bytes({}.5, first_of({}.4, 'A'))",), on_error="null"),
    "url": "if(absent({}.5), {}.1)",
}
_ONCE: Final = "absent({2}(2).*)"
_SN: Final = "sn_text({2}.1, {2}.2, {2}.3, {2}.4)"
_NR: Final = "sn_text(null, {2}.1, '-', {2}.2)"
_IN_RANGE: Final = f"if({{1}} = 'SN' and {{2}}.3 = '-', if({_ONCE} and absent({_SN}), number_in({{2}}.%s)))"
_OF_RATIO: Final = (
    f"if({{1}} = 'SN' and {{2}}.3 in [':', '/'], if({_ONCE} and absent({_SN}), number_in({{2}}.%s)))"
)
_OF_NR: Final = f"if({{1}} = 'NR', if({_ONCE} and absent({_NR}), number_in({{2}}.%s)))"
# What is not written as its type has it is the result's text: nothing that a sender says is left out. Where a
# value comes several times, all of them are its text, since a result has one value.
_OBSERVED: Final[Dict[str, Template]] = {
    "value_number": Rule(
        (
            f"if({{1}} in ['NM', 'SI'], if({_ONCE}, number_in({{2}})),"
            f" if({{1}} = 'SN', if({_ONCE} and absent({{2}}.3) and absent({_SN}), number_in({{2}}.2)),"
            f" if({{1}} in ['CQ', 'MO'], if({_ONCE}, number_in({{2}}.1)))))",
        ),
        on_error="null",
    ),
    "comparator": Rule(
        (
            f"if({{1}} in ['NM', 'SI'], if(present({{2}}) and {_ONCE}, comparator_in({{2}})),"
            f" if({{1}} = 'SN', if({{2}}.1 != '=' and {_ONCE} and absent({_SN}), {{2}}.1)))",
        ),
        table="SN.1",
    ),
    "value_range": {
        "low": Rule((_IN_RANGE % 2, _OF_NR % 1), on_error="null"),
        "high": Rule((_IN_RANGE % 4, _OF_NR % 2), on_error="null"),
    },
    "value_ratio": {
        "numerator": Rule((_OF_RATIO % 2,), on_error="null"),
        "denominator": Rule((_OF_RATIO % 4,), on_error="null"),
    },
    "value_code": {
        "code": f"if({{1}} in [{_CODED}], if({_ONCE}, first_of({{2}}.1, {{2}}.4)))",
        "display": f"if({{1}} in [{_CODED}], if(present({{2}}.1), {{2}}.2, {{2}}.5))",
        "system": f"if({{1}} in [{_CODED}], if(present({{2}}.1), {{2}}.3, {{2}}.6))",
        "sent_code": f"if({{1}} in [{_CODED}] and present({{2}}.1), {{2}}.4)",
        "sent_system": f"if({{1}} in [{_CODED}] and present({{2}}.1), {{2}}.6)",
        "sent_text": f"if({{1}} in [{_CODED}], first_of({{2}}.9, if(present({{2}}.1), {{2}}.5)))",
    },
    "value_text": (
        f"if({{1}} in [{_WRITTEN}] or not present({{1}}), join('\\n', {{lines}}))",
        f"if({{1}} in [{_CODED}, {_TIMED}, {_NUMBERS}, {_JOINED}],"
        f" if(not {_ONCE}, replace(join('\\n', {{2}}(*).*), '^', ' ')))",
        "if({1} in ['NM', 'SI'], if(absent(number_in({2})), {2}.*))",
        f"if({{1}} = 'SN', {_SN})",
        f"if({{1}} = 'NR', {_NR})",
        "if({1} in ['CQ', 'MO'], if(absent(number_in({2}.1)), join(' ', {2}.1, {2}.2)))",
        f"if({{1}} in [{_CODED}],"
        " if(absent(first_of({2}.1, {2}.4)), first_of({2}.2, {2}.5, {2}.9)))",
        f"if({{1}} in [{_TIMED}], if(not is_null({{2}}.1) and not reads_as_time({{2}}.1), {{2}}.1))",
        f"if({{1}} in [{_JOINED}], first_of(join(' ', {{2}}.1, {{2}}.2, {{2}}.3, {{2}}.4, {{2}}.5, {{2}}.6),"
        " {2}.*))",
    ),
    "value_datetime": Rule(
        (f"if({{1}} in [{_TIMED}], if({_ONCE} and (is_null({{2}}.1) or reads_as_time({{2}}.1)), {{2}}.1))",),
        on_error="null",
    ),
    "value_attachment": {
        "digest": Rule(
            (
                "if({1} = 'ED', digest({2}.5, first_of({2}.4, 'A')))",
                "if({1} = 'RP', digest({2}.1, 'A'))",
            ),
            on_error="null",
        ),
        "media_type": Rule(
            ("if({1} = 'ED', media_type({2}.2, {2}.3))", "if({1} = 'RP', media_type({2}.3, {2}.4))")
        ),
        "size_bytes": Rule(("if({1} = 'ED', size_bytes({2}.5, first_of({2}.4, 'A')))",), on_error="null"),
        "url": "if({1} = 'RP', {2}.1)",
    },
    "absent_reason": (
        f"if(present({{1}}) and {{1}} not in [{_KNOWN}], 'unsupported')",
        "if({1} = 'ED' and absent({2}.5) or {1} = 'RP' and absent({2}.1), 'not-sent')",
        f"if({{1}} not in [{_FILED}] and not present({{2}})"
        " and not present(join('', {lines})), 'not-sent')",
    ),
    "unit": ("{3}.1", "{3}.2", "if({1} in ['CQ', 'MO'], {2}.2)"),
    "ucum": "first_of({3}.1, {3}.4) | unit_to_ucum",
}
_PERSON: Final[Dict[str, Template]] = {
    "role": "'{2}'",
    "npi": "if({}.13 = 'NPI' or {}.9 = 'NPI', {}.1)",
    "id": "if({}.13 != 'NPI' and {}.9 != 'NPI', {}.1)",
    "id_system": "if({}.13 != 'NPI' and {}.9 != 'NPI', first_of({}.9, {}.9.2))",
    "family": "{}.2",
    "given": "{}.3",
}

CONSTRUCTORS: Final[Dict[str, Constructor]] = MappingProxyType(
    {
        each.name: each
        for each in (
            Constructor(
                "identifier",
                "CX",
                "A number with who gave it, its type and its days.",
                {
                    "value": "{}.1",
                    "system": "identifier_system({}.4.1, {}.4.2, {}.4.3)",
                    "type": "{}.5",
                    "assigner": "{}.6",
                    "start": Rule(("{}.7",), on_error="null"),
                    "end": Rule(("{}.8",), on_error="null"),
                },
                Identifier,
                example=(
                    "77^^^NORTH^MR^EAST^20200101",
                    {
                        "value": "77",
                        "system": "NORTH",
                        "type": "MR",
                        "assigner": "EAST",
                        "start": "2020-01-01",
                    },
                ),
            ),
            Constructor(
                "name",
                "XPN",
                "A person's name by its parts, and what it is used for.",
                {
                    "family": "{}.1",
                    "given": "{}.2",
                    "middle": "{}.3",
                    "suffix": "{}.4",
                    "prefix": "{}.5",
                    "use": Rule(("if({}.7 not in ['U', 'S', 'P', 'T', 'REL', 'TEMP'], {}.7)",), table="0200"),
                },
                Name,
                example=(
                    "OKAFOR^MAREN^T^JR^DR^^L",
                    {
                        "family": "OKAFOR",
                        "given": "MAREN",
                        "middle": "T",
                        "suffix": "JR",
                        "prefix": "DR",
                        "use": "official",
                    },
                ),
            ),
            Constructor(
                "address",
                "XAD",
                "A postal address.",
                {
                    "use": "{}.7",
                    "line1": "{}.1",
                    "line2": "{}.2",
                    "city": "{}.3",
                    "state": "{}.4",
                    "postal_code": "{}.5",
                    "country": "{}.6",
                    "county": "{}.9",
                    "start": Rule(("{}.13",), on_error="null"),
                    "end": Rule(("{}.14",), on_error="null"),
                },
                Address,
                example=(
                    "12 ELM ST^APT 4^AUSTIN^TX^78701^USA^H",
                    {
                        "line1": "12 ELM ST",
                        "line2": "APT 4",
                        "city": "AUSTIN",
                        "state": "TX",
                        "postal_code": "78701",
                        "country": "USA",
                        "use": "H",
                    },
                ),
            ),
            Constructor(
                "contact",
                "XTN",
                "A way to reach somebody; telephone numbers by their digits.",
                {
                    "value": (
                        f"if({{}}.3 in [{_MAIL}], first_of({{}}.4, {{}}.1))",
                        f"if({{}}.3 not in [{_MAIL}], {{}}.1 | extract('{_NUMBER}', 1) | digits)",
                        "{}.12 | digits",
                        "concat({}.5, {}.6, {}.7) | digits",
                        "{}.4",
                    ),
                    "system": Rule(
                        ("{}.3", "if(absent({}.1) and absent({}.7) and absent({}.12), 'Internet', 'PH')"),
                        table="0202",
                    ),
                    "use": Rule(
                        ("if({}.3 = 'CP', 'PRS')", f"if({{}}.2 not in [{_NO_USE}], {{}}.2)"), table="0201"
                    ),
                    "sent": "if({}.1 != digits({}.1), {}.1)",
                },
                Contact,
                example=(
                    "(512)555-0100^PRN^CP",
                    {"value": "5125550100", "system": "phone", "use": "mobile", "sent": "(512)555-0100"},
                ),
            ),
            Constructor(
                "code",
                "CWE",
                "A code with its system and meaning; the sender's other one beside it.",
                _CODE,
                Code,
                example=(
                    "2345-7^Glucose^LN^GLU^Blood sugar^L",
                    {
                        "code": "2345-7",
                        "display": "Glucose",
                        "system": "LN",
                        "sent_code": "GLU",
                        "sent_system": "L",
                        "sent_text": "Blood sugar",
                    },
                ),
            ),
            Constructor(
                "person",
                "XCN",
                "Somebody who takes part, by NPI or another number; as what, in quotes, may follow.",
                _PERSON,
                Person,
                takes=("field", "role"),
                optional=1,
                example=(
                    "1234567893^WELBRECHT^IDA^^^^^^^^^^NPI",
                    {"npi": "1234567893", "family": "WELBRECHT", "given": "IDA"},
                ),
            ),
            Constructor(
                "attachment",
                "ED, RP",
                "A document by digest and size of its bytes, which stay in the message; or where it is kept.",
                _ATTACHMENT,
                Attachment,
                example=(
                    "^TEXT^plain^A^hello",
                    {
                        "digest": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
                        "media_type": "text/plain",
                        "size_bytes": "5",
                    },
                ),
            ),
            Constructor(
                "observation_value",
                "OBX-2, OBX-5, OBX-6",
                "Of a result, as `value:` in `set`: its one value by its type, with comparator and unit.",
                _OBSERVED,
                takes=("kind", "value", "unit"),
                optional=1,
            ),
        )
    }
)
"""All constructors by name."""
