"""What to do about each mistake in a mapping and each issue of a message. What they mean is in `codes.py`.

The example of an E1 code is an expression that has that mistake, and a test holds that it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

ADVICE: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "E101": ("Finish the expression, or delete the key.", "join(' ', PID-5.1"),
        "E102": ("Close the text with a single quote; write a quote in a text twice.", "'DOE"),
        "E103": (
            "Give parts of it names under `let`.",
            "((((((((((((((((((((((((((((((((((PID-5.1))))))))))))))))))))))))))))))))))",
        ),
        "E104": ("Join values with join(...), and pass them on with |.", "PID-5.1 PID-5.2"),
        "E105": ("Write segment, field, repetition, component: PID-3(2).4.1.", "PID-5[1].1"),
        "E106": ("Correct the number of the field.", "PID-99"),
        "E107": ("Name the component.", "PID-5"),
        "E108": ("Correct the segment; a site's own begins with Z.", "PDI-5.1"),
        "E109": ("Write a path of the format that `source` names.", "$.name"),
        "E110": ("Correct the name; mappings/README.md lists all functions.", "PID-5.1 | trimm"),
        "E111": ("Give it what it takes; `bridge explain` of the function says that.", "PID-5.1 | trim(1)"),
        "E112": ("Convert the value, or compare it.", "PID-5.1 | substr('a')"),
        "E113": ("Put quotes around a code, also where it looks like a number.", "if(PV1-2 = 1, PID-5.1)"),
        "E114": ("Correct the name, or put quotes around a text.", "mrn"),
        "E115": ("Break the circle.", "let: {a: b, b: a}"),
        "E116": ("Write what the message says that it expects.", "PID-5.1 | date_fmt('%y%m%d')"),
        "E118": (
            "Add the version under `source.versions`, or read another field.",
            "PID-35     # and versions: [2.3]",
        ),
        "E119": ("Correct the number; `bridge explain` of the field lists what it has.", "PV1-3.99"),
        "E190": ("Write it another way, as the hint says.", "{from: PID-5.1, on_error: hold}"),
        "E200": ("Correct the spelling, or delete the key.", "test: []"),
        "E201": ("Correct the name of the zone.", "timezone: America/Chigago"),
        "E202": ("Add `timezone` under `source`.", "timezone: Europe/Vienna"),
        "E203": ("Add the key.", "- {path: PID-1}     # and no `because`"),
        "E204": ("Write what the message says that it expects.", "emit: []"),
        "E205": ("Choose one of the values that the message lists.", "target: canonical/2"),
        "E206": ("Write it as the message says.", "version: 1.0     # instead of 1.0.0"),
        "E207": ("Move it to `format` in the channel's file.", "source: {encoding: ascii}"),
        "E210": ("Correct the name of the record.", "record: pateint"),
        "E211": ("Give the record a key from business identifiers.", "key: join(':', PID-3.4.1, PID-3.1)"),
        "E212": (
            "Make it of what tells records apart, with `join` or `key`, which give nothing without a part.",
            "key: concat(PID-3.4.1, PID-3.1)",
        ),
        "E213": (
            "Use what the sender calls the thing itself; set IDs and control IDs change when it comes again.",
            "key: join(':', OBR-3.1, OBX-1)",
        ),
        "E220": ("Correct the name of the field; `bridge explain RECORD` lists all.", "famly: PID-5.1"),
        "E221": ("Correct the spelling of the rule's key.", "{from: PID-5.1, onerror: null}"),
        "E222": (
            "Delete one of the two, or give them conditions of which one holds.",
            "two entries for `patient`",
        ),
        "E223": ("Add a rule for the field.", "set: {family: PID-5.1}     # and no `identifiers`"),
        "E224": (
            "Keep one source of the value, and the keys that go with it.",
            "{from: PID-5.1, const: DOE}",
        ),
        "E225": ("Write a value that the field can take.", "sex: {const: man}"),
        "E226": ("Leave `tag` out, or raise it.", "family: {from: PID-5.1, tag: PUB}"),
        "E227": (
            "Add `tag` to the field of `ext`: PUB, FIN, PII, PCI, PHI or SEC.",
            "ext: {study_arm: ZPI-3}",
        ),
        "E228": ("Give it a whole field; (*) for each of several.", "names: name(PID-5.1)"),
        "E230": ("Emit the other record above this one.", "patient: {ref: patent}"),
        "E233": ("Correct the name, or declare the group.", "for_each: oder"),
        "E234": ("Correct the name after `in`.", "groups: {result: {anchor: OBX, in: oder}}"),
        "E235": (
            "Correct the name, or declare the column: `source.columns`, or the channel's `format`.",
            "$.acount",
        ),
        "E240": ("Correct the name, or add the table under `tables`.", "{from: PID-8, translate: sx}"),
        "E241": ("Correct the table's value.", "tables: {sex: {F: woman}}"),
        "E242": ("Add `translate` with a table of codes.", "sex: PID-8"),
        "E244": ("Give the field something of its kind; convert it first.", "family: PV1-2 = 'I'"),
        "E245": ("Say which sender, or which day, counts.", "icd: {file: tables/icd.csv, as_of: PV1-44}"),
        "E246": (
            "Give each row days of its own, or delete one.",
            "F,female,2024-01-01,     # and F,male,2024-06-01,",
        ),
        "E247": ("Write it as the message says.", "from,to,valid_from,valid_to"),
        "E248": ("Correct the name, or write the fragment.", "set: {include: obsrvation-value}"),
        "E250": ("Use the table, or delete it.", "tables: {sex: {F: female}}"),
        "E251": ("Use the let, or delete it.", "let: {spare: PID-5.1}"),
        "E270": ("Write a path, with `*` for what is left.", "- {path: PID, because: no}"),
        "E271": ("Delete one of the two, or write `*` for what is left.", "- {path: PID-3, because: no}"),
        "E272": ("Delete it, or put it before the wider one.", "[{path: NK1-*}, {path: NK1-2}]"),
        "E280": ("Say what the message must give.", "expect: {}"),
        "E281": ("Write a whole message, from MSH on.", "input: PID"),
        "E282": ("Write records with their fields, or issues.", "expect: {patent: []}"),
        "E283": (
            "`bridge map test` shows what was expected and what came; correct the mapping or the test.",
            "bridge map test mappings/adt-admit.yaml",
        ),
        "E290": ("Write a place in capitals, as in PID-5.1.", "set: {pid-5: ...}"),
        "E291": ("Say `delimiters` for MSH-1 and MSH-2; leave the rest of the head.", "remove: [MSH]"),
        "E292": ("Name one repetition; go through several segments with `repeat`.", "set: {PID-3(*).1: ...}"),
        "E293": ("Add the field to `set`; MSH-10: MSH-10 keeps it.", "from: new     # and no MSH-9.1"),
        "E294": ("Name one that the hint lists.", "charset: utf-16"),
        "R001": (
            "See which `when` of the mapping should have held; say `on_no_record` where none is right.",
            "bridge map try mappings/adt-admit.yaml message.hl7",
        ),
        "R002": (
            "Add the type to `accept` of the mapping, or let no route send it here.",
            "accept: [ADT^A01, ADT^A08]     # of X12: [835], of EDIFACT: [ORDERS]",
        ),
        "R003": (
            "Add it to `versions`, or to `implementation` of X12 and EDIFACT, once you know that it is read "
            "alike, or ask the sender.",
            "implementation: [005010X221, 005010X221A1]     # or versions: ['2.3', '2.5.1']",
        ),
        "R004": ("Look at the bytes with `bridge parse`; ask the sender.", "bridge parse message.hl7"),
        "R005": (
            "Ask the sender what several mean; correct the message where one is wrong.",
            "two PV1 in an ADT^A01",
        ),
        "R006": ("See what the sender means by it, and map it, or ask the sender.", "ORC     # and no OBR"),
        "R007": (
            "Leave it if it is meant: the second counts. Else ask the sender why it says so twice.",
            "two FT1 with the same FT1-2",
        ),
        "R008": (
            "Put the parts together where they come from, or send them on as they came (`send: original`).",
            "DSC|CONT-17|F",
        ),
        "R009": (
            "Add to the key what tells the two apart; correct the message where one of them is wrong.",
            "key: join(':', order_key, code, first_of(OBX-4, '1'))",
        ),
        "R010": (
            "Correct the message, give the rule a `default`, or do not require the value.",
            "family: {from: PID-5.1, required: true}",
        ),
        "R020": (
            "Correct the message, or say `on_error` in the rule.",
            "birth_date: {from: PID-7, on_error: null}",
        ),
        "R021": ("Ask the sender to send an offset.", "20241103013000     # instead of 20241103013000-0500"),
        "R022": ("Ask the sender to send an offset.", "20240310023000     # instead of 20240310023000-0600"),
        "R030": (
            "Add the code to the table, or say `unmapped` in the rule.",
            "sex: {from: PID-8, translate: sex, unmapped: null}",
        ),
        "R031": (
            "Add the code to the table and `bridge reload`: what waited goes, in order.",
            "ward: {from: PV1-3.1, translate: ward, unmapped: hold}",
        ),
        "R040": ("See whether the message is one; correct it.", "a field with 10,001 repetitions"),
        "R050": (
            "Add the segment with `append`, or give no value where it is missing: if(present(...), ...).",
            "PV2-3.2: {const: ...}     # and a message without PV2",
        ),
        "R051": ("Name the repetition by a number, or by another component.", "PID-3(5=MR).1"),
        "R052": (
            "Write in another `charset`, or say `unwritable: escape` or `replace`.",
            "charset: ascii     # and a name with an accent",
        ),
        "R053": ("Say a `charset`; the whole message is then written in it.", "charset: utf-8"),
        "R054": ("Give the two entries conditions of which one holds.", "when: MSH-9.2 = 'A01'"),
        "R090": (
            "Correct the rule of the field that the issue names; where sums do not fit, see whether rules "
            "read all that belongs to them, or ask the sender.",
            "birth_date: PID-7 | substr(1, 2)",
        ),
        "R900": (
            "See why the other record was not made: its condition, or its own issue.",
            "patient: {ref: patient}",
        ),
    }
)
