"""Every code that a mapping file or a mapped message can be answered with, one sentence each.

``E`` codes are mistakes in a file, found when it is loaded; ``R`` codes are issues of one message.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        # Expressions.
        "E101": "An expression is empty or ends too early.",
        "E102": "A text in an expression has no closing quote, or holds an escape that does not exist.",
        "E103": "An expression is too long or too deeply nested.",
        "E104": "A sign or word stands where the expression expected something else.",
        "E105": "A path is not written as SEGMENT-field(repetition).component.subcomponent.",
        "E106": "The segment has no field of that number in any HL7 v2 version.",
        "E107": "A field that is made of components was used as one text: name the component.",
        "E108": "HL7 v2 has no segment of this name, and it is none of a site's own (Z...).",
        "E109": "A path is of another format than the mapping reads.",
        "E110": "No mapping function has this name.",
        "E111": "A function was given too few or too many arguments.",
        "E112": "A value is of another type than this place takes.",
        "E113": "The two sides of a comparison are of different types.",
        "E114": "No let of the mapping has this name.",
        "E115": "A let refers to itself, directly or through another one.",
        "E116": "A literal argument is not one that the function can work with.",
        "E118": "A path reads a field that none of the declared HL7 versions has.",
        "E119": "A path reads a component or subcomponent that no HL7 v2 version has.",
        "E190": "This part of the language is known but not built yet, so the file is refused.",
        # The file.
        "E200": "This key is not known here.",
        "E201": "No time zone of the IANA database has this name.",
        "E202": "A date and time needs `source.timezone`, for senders that give no offset.",
        "E203": "A key that must be there is missing.",
        "E204": "A mapping, a list or a text was expected here, and it is something else.",
        "E205": "The value is not one of those that this key takes.",
        "E206": "A name, a version or a message type is not written as it must be.",
        "E207": "This setting belongs to the channel, not to the mapping.",
        "E210": "No canonical record has this name.",
        "E211": "A record has no key expression.",
        "E212": "A key is made so that it can be half a key, or the same for every record.",
        "E213": "A key has a number that counts anew in each message.",
        "E220": "The canonical record has no field of this name.",
        "E221": "This key is not known in a rule.",
        "E222": "Two rules set the same thing.",
        "E223": "A field that the record requires has no rule.",
        "E224": "The keys of a rule do not go together.",
        "E225": "A constant or default is not a value that the field can take.",
        "E226": "A tag may raise the classification of a field, never lower it.",
        "E227": "A field of the site's own does not say how sensitive it is.",
        "E228": "What a constructor is given is not a whole field.",
        "E230": "A reference names a record that the mapping does not emit before this one.",
        "E233": "What `for_each` names is no group, segment or field.",
        "E234": "A group names a group around it that does not exist, or that it is itself inside of.",
        "E235": "What is read has no name like this: no column, no field of the record.",
        "E240": "The mapping has no table of this name.",
        "E241": "A table gives a value that the field does not allow.",
        "E242": "Free text cannot become one of a field's fixed values without a table.",
        "E244": "An expression gives something that a field of this kind cannot be made of.",
        "E245": "A table has rows for some senders or days only, and nothing says for which.",
        "E246": "A table has two rows for one code, sender and day.",
        "E247": "A table's file is not written as one: CSV in UTF-8 with columns `from` and `to`.",
        "E248": "There is no fragment of this name, it has no such part, or it includes itself.",
        "E250": "A table is never used.",
        "E251": "A let is never used.",
        "E270": "The path of an ignore entry is not written as a path, with `*` for the rest.",
        "E271": "An ignored path is also read by a rule.",
        "E272": "An entry of ignore can leave out nothing: another one before it leaves out the same.",
        "E280": "A test expects nothing, so it proves nothing.",
        "E281": "A test's input is missing or is no message of the mapping's format.",
        "E282": "A test's expectation is not written as the test language wants it.",
        "E283": "A test of the mapping file fails.",
        "E290": "A place of a message is not written as a segment, a field and what is below.",
        "E291": "A place without which a message cannot be read was to be set, taken out or added.",
        "E292": "A path that means several places, or one of several segments, stands where one is set or "
        "taken out.",
        "E293": "A new message lacks a field that every message has.",
        "E294": "Messages cannot be written in this character set, or with these delimiters.",
        # A message.
        "R001": "The message was accepted, and neither a record nor a message came out of it.",
        "R002": "The mapping does not accept this message type.",
        "R003": "The message's version, or implementation, is not one that the mapping declares.",
        "R004": "The message cannot be read in the format that the mapping reads.",
        "R005": "A segment that the mapping reads once stands in the message several times.",
        "R006": "A segment that leads a group, as ORC leads OBR, stands without what it leads.",
        "R007": "Two records of one kind have the same key, and say the same or tell of one after the other.",
        "R008": "The message is a part of one that goes on in another (DSC, ADD): half is not mapped.",
        "R009": "Two records of one kind have the same key and differ: one of them would be overwritten.",
        "R010": "A required value is missing.",
        "R020": "A value could not be converted to what the field takes.",
        "R021": "A local time occurs twice because clocks were set back; the first occurrence was taken.",
        "R022": "A local time does not exist because clocks were set forward; it was moved by the gap.",
        "R030": "A code is not in the table.",
        "R031": "A code is not in the table, and its message waits until it is.",
        "R040": "A limit of size or count was reached.",
        "R050": "A place to set is not in the message: it has no such segment or repetition.",
        "R051": "Several repetitions of the message fit a place of which one is set.",
        "R052": "A character is not in the character set that the message is written in.",
        "R053": "The message's character set spells one character two ways: no part can be changed alone.",
        "R054": "A mapping made a second message of one message: receivers would take it for a repeat.",
        "R090": "The finished record does not fit the canonical model.",
        "R900": "A reference could not be resolved: the record it names was not made.",
    }
)

NO_RECORD: Final = "R001"
WHY_NO_RECORD: Final = frozenset("R010 R020 R030 R031 R040 R050 R051 R052 R053 R054 R090".split())
"""With one of these, R001 says only what follows from it."""
HELD: Final = "R031"
"""Of a message that waits for a code, and goes by itself once a reload has brought it."""
OF_CODES: Final = ("R030", HELD)
