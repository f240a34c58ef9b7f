"""Options of XML: which element is a record, what stands around records, and what a file says of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from bridge.component import Options
from bridge.formats.control_totals import TOTALS_MAX_COUNT, Total
from bridge.formats.xml_defused import is_read
from bridge.formats.xml_tree import XmlReading, element_named, names_of, place_named

LISTS_MAX_COUNT: Final = 200


def _charset(name: str) -> str:
    if name and not is_read(name):
        raise ValueError("expected utf-8, utf-16 or a character set of one byte, as in windows-1252")
    return name


Element = Annotated[str, AfterValidator(element_named)]
Place = Annotated[str, AfterValidator(place_named)]


class XmlTotal(Total):
    """One control total: where the file says it, and what that is of the records."""

    trailer: Place = Field(
        description="Where it stands outside of the records, behind or before them: an element, as in "
        "Trailer/Count, or an attribute, as in Orders/@count."
    )
    of: Literal["rows", "sum", "hash"] = Field(
        "rows",
        description="What is summed up: rows (how many records there are), sum (of an amount), or hash (of "
        "the digits of a place, of which the last ones are kept).",
    )
    column: Annotated[str, AfterValidator(lambda text: place_named(text) if text else text)] = Field(
        "",
        description="With sum and hash: the place in the record, each time that it is there, as in Amount, "
        "Lines/Line/Amount or @amount.",
    )


class XmlOptions(Options):
    """Options of XML."""

    record: Annotated[str, AfterValidator(lambda text: element_named(text) if text else text)] = Field(
        "",
        description="The element that is a message, as in Order, or Orders/Order where the name alone does "
        "not tell it. Names are without prefixes. Without it all of a document is one.",
    )
    header: Annotated[str, AfterValidator(lambda text: element_named(text) if text else text)] = Field(
        "",
        description="An element that each message is given with its record: `$header` in mappings. It stands "
        "before the records; of one around them only the attributes are given.",
    )
    lists: tuple[Element, ...] = Field(
        (),
        max_length=LISTS_MAX_COUNT,
        description="Elements that are lists for mappings also where they stand once, as in Line or "
        "Lines/Line.",
    )
    charset: Annotated[str, AfterValidator(_charset)] = Field(
        "",
        description="The character set, where what a file declares is wrong, as in windows-1252. Without it "
        "what it declares counts, and UTF-8 where it declares none.",
    )
    bad_record: Literal["quarantine", "refuse"] = Field(
        "quarantine",
        description="A record that is no well-formed XML, or breaks a limit: quarantine (a message of its "
        "own, for a person; the others go on), or refuse (the file is not taken).",
    )
    totals: tuple[XmlTotal, ...] = Field(
        (), max_length=TOTALS_MAX_COUNT, description="What the file says of its records."
    )

    @model_validator(mode="after")
    def _of_records(self) -> Self:
        if not self.record and (self.header or self.totals):
            raise ValueError("`header` and `totals` are for files of several records: `record` says which")
        return self

    @classmethod
    def of(cls, reading: XmlReading) -> Self:
        """Those of what a mapping says that it reads."""
        record, header = "/".join(reading.record), "/".join(reading.header)
        return cls.model_validate(
            {"record": record, "header": header, "lists": tuple(map("/".join, reading.lists))}
        )

    @property
    def reading(self) -> XmlReading:
        """How a message is read."""
        lists = tuple(map(names_of, self.lists))
        return XmlReading(names_of(self.record), names_of(self.header), lists, self.charset)

    def unlike(self, reading: XmlReading) -> Iterator[tuple[str, str]]:
        """Where a mapping says another record, header or list than its channel: its tests would read other
        things than come. What is said, and what to write."""
        theirs = XmlOptions.of(reading)
        for key in ("record", "header", "lists"):
            here, there = getattr(self, key), getattr(theirs, key)
            if (set(here) == set(there)) if key == "lists" else (here == there):
                continue
            shown = f"[{', '.join(here)}]" if key == "lists" else here
            hint = f"write `{key}: {shown}` under its `source`" if here else f"leave out `{key}`"
            yield f"its `{key}` is not that of the channel's format", hint
