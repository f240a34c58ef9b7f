"""What the keys inside of a mapping file mean: editors, `bridge explain` and the page read it here."""

from __future__ import annotations

from typing import Final

RULE_KEYS: Final = {
    "from": "an expression, or a list of them",
    "const": "a fixed value",
    "ref": "the key of a record that stands before this one",
    "list": "the entries of a list, or `{for_each, when, set}`; "
    "an entry without what it requires is left out",
    "mode": "of a list: `snapshot` (all there are) or `add` (further ones)",
    "part": "the fields of a field that is made of fields: `part: {value: OBX-5, unit: OBX-6.1}`; "
    "without what it requires it is left out",
    "required": "`true`: without a value the record is rejected (R010)",
    "default": "where the value is absent, and for `on_error: default`, `unmapped: default`",
    "translate": "a table by name, or `{table, sender, as_of}`",
    "on_error": "a value that cannot be converted (R020): `reject` the record, `null` (leave the field out), "
    "`default`, `keep_raw`",
    "unmapped": "a code that is not in the table (R030): `reject`, `null`, `default`, `keep`; `hold`: the "
    "message waits until it is (R031)",
    "tag": "a higher classification: PUB, FIN, PII, PCI, PHI, SEC",
}
"""Of a rule, in the order of the page."""

ENTRY_KEYS: Final = {
    "record": "the kind of record that is made",
    "for_each": "a group, a segment, a field with repetitions, or a list: one record for each",
    "key": "what the record is known by: an expression, or a list of them",
    "when": "a condition: the entry is made where it holds",
    "let": "named expressions of this entry alone",
    "operation": "what the record asks for; left out, upsert: it may be a rule",
    "set": "the fields of the record, and the rule of each",
    "ext": "fields of the site's own, beside `set`: each a rule with its `tag`",
    "on_reject": "an entry that is rejected: `skip` (the others go on), or `fail_message`",
}
"""Of an entry of `emit` that makes a record."""

SOURCE_KEYS: Final = {
    "format": "what is read: hl7v2, x12, edifact, delimited, fixed, json, xml, or record (for a body)",
    "accept": "the types of messages that are taken, as in ADT^A01, or ADT^* for all events",
    "versions": "the HL7 versions that are taken; left out, every one",
    "implementation": "the implementation guides, or versions, that are taken; left out, every one",
    "timezone": "the zone of senders that give no offset, or `{by, zones, otherwise}` for several",
    "groups": "which segments belong together: for each group `{anchor, lead, has, in, around, lines}`",
    "columns": "the columns of the rows that are read",
    "header": "what is read of the file's header",
    "trailer": "what is read of the file's trailer",
    "record": "the kind of record, or the element of XML, that is read",
    "lists": "elements of XML that are lists, also where there is one",
}
"""Of `source`."""

GROUP_KEYS: Final = {
    "anchor": "the segment that opens the group; with a condition too, as in N1(1=PR)",
    "lead": "segments before the anchor that go with it",
    "has": "further segments of the group",
    "in": "the group, or the groups, that it is inside of",
    "around": "segments around an instance that count where it has none that fits",
    "lines": "of a text that stands in several segments: which go on with the one before them",
}
"""Of each of `source.groups`."""

IGNORE_KEYS: Final = {
    "path": "what is left out: a segment, field or component, with `*` for what is left of it",
    "because": "why it is left out",
}
"""Of each of `ignore`."""


def sentence(text: str) -> str:
    """A text of these as a sentence.

    >>> sentence("a fixed value")
    'A fixed value.'
    """
    return f"{text[:1].upper()}{text[1:]}."
