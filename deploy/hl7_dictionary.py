"""Make bridge/dictionary/hl7v2.json.gz, the names of HL7 v2, from two free collections of them.

It is run by hand, where a newer collection is wanted, and gives the same bytes from the same sources:

    npm pack hl7-dictionary@1.0.1 && tar xzf hl7-dictionary-1.0.1.tgz        # v2.1 to v2.7.1, in package/
    pip download --no-deps hl7apy==1.3.5 && unzip hl7apy-1.3.5-*.whl         # v2.8 to v2.8.2, in hl7apy/
    python deploy/hl7_dictionary.py package . bridge/dictionary/hl7v2.json.gz

Both are under the MIT licence; see NOTICE. `node` reads the first.
"""

from __future__ import annotations

import gzip
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

LATE = ("2.8", "2.8.1", "2.8.2")
LATE_NAMES = {
    "segment BUI": "Blood Unit Information",
    "segment CDO": "Cumulative Dosage",
    "segment DON": "Donation",
    "segment DPS": "Diagnosis and Procedure Code",
    "segment MCP": "Master File Coverage",
    "segment OMC": "Supporting Clinical Information",
    "segment PM1": "Payer Master File",
    "segment RXV": "Pharmacy/Treatment Infusion",
    "segment SGH": "Segment Group Header",
    "segment SGT": "Segment Group Trailer",
    "type OG": "Observation Grouper",
}
"""What hl7apy holds without a name, after HL7 v2.8.2."""
WITHDRAWN = "WD"
SEGMENT = r"[A-Z][A-Z0-9]{2}"
REQUIRED = 2


def plain(text: str) -> str:
    """A name without what the two collections write differently."""
    return re.sub(r"[^A-Z0-9]+", "", text.upper())


def spaced(text: str) -> str:
    """A name in one line, with single blanks."""
    return " ".join(text.split())


def early(package: Path) -> dict[str, Any]:
    """What the npm package holds, as JSON."""
    script = "process.stdout.write(JSON.stringify(require(process.argv[1])))"
    done = subprocess.run(  # noqa: S603
        ["node", "-e", script, str(package.resolve() / "lib")],  # noqa: S607
        capture_output=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


class Pool:
    """What there is of each name, with the versions that say the same."""

    def __init__(self, versions: list[str]) -> None:
        self.versions = versions
        self.entries: list[list[Any]] = []
        self._places: dict[str, int] = {}
        self.kinds: dict[str, dict[str, list[Any]]] = {"segments": {}, "types": {}, "messages": {}}

    def entry(self, name: str, data_type: str, table: int, required: bool, repeats: bool) -> int:
        """The place of a field or component in the list of all of them."""
        value = [spaced(name), data_type, table, int(required), int(repeats)]
        return self._places.setdefault(json.dumps(value), self._added(value))

    def _added(self, value: list[Any]) -> int:
        if json.dumps(value) not in self._places:
            self.entries.append(value)
        return len(self.entries) - 1

    def add(self, kind: str, key: str, version: str, name: str, parts: Any) -> None:
        """One definition of one version."""
        definitions = self.kinds[kind].setdefault(key, [])
        place = self.versions.index(version)
        for definition in definitions:
            if definition[1:] == [spaced(name), parts]:
                definition[0].append(place)
                return
        definitions.append([[place], spaced(name), parts])


def fields_of(pool: Pool, given: Iterable[dict[str, Any]]) -> list[int]:
    """Fields or components of the npm package."""
    return [
        pool.entry(
            each["desc"], each["datatype"], each.get("table", 0), each["opt"] == REQUIRED, each["rep"] != 1
        )
        for each in given
    ]


def syntax(parts: Iterable[dict[str, Any]]) -> str:
    """A message's structure in the standard's own notation: [ ] may be left out, { } may repeat."""
    said = []
    for part in parts:
        inner = part["name"] or "..."
        if part.get("children"):
            inner = syntax(part["children"])
        elif part.get("compounds"):
            inner = "<" + "|".join(each["name"] or "..." for each in part["compounds"]) + ">"
        if part["max"] != 1:
            inner = "{" + inner + "}"
        said.append("[" + inner + "]" if part["min"] == 0 else inner)
    return " ".join(said)


def late_syntax(parts: Iterable[Any]) -> str:
    """The same of hl7apy, whose groups hold their members."""
    said = []
    for name, reference, (least, most), kind in parts:
        inner = late_syntax(reference[1]) if kind == "GRP" else name
        inner = "{" + inner + "}" if most != 1 else inner
        said.append("[" + inner + "]" if least == 0 else inner)
    return " ".join(said)


def add_late(pool: Pool, version: str, known: dict[str, str]) -> dict[str, Any]:
    """One version of hl7apy, with the spelling of the other collection where it knows the name."""
    folder = "hl7apy.v" + version.replace(".", "_")
    parts = {name: importlib.import_module(f"{folder}.{name}") for name in ("segments", "messages", "tables")}
    fields = importlib.import_module(f"{folder}.fields").FIELDS
    types = importlib.import_module(f"{folder}.datatypes").DATATYPES_STRUCTS
    numbers = re.compile(r"_(\d+)$")

    def entry(reference: Any, least: int, most: int) -> int:
        name = known.get(plain(reference[3]), reference[3].replace("_", " ").capitalize())
        found = re.fullmatch(r"HL7(\d{4})", reference[4] or "")
        return pool.entry(name, reference[2], int(found[1]) if found else 0, least > 0, most not in (0, 1))

    def listed(members: Any) -> list[int]:
        by_number = {}
        for name, reference, (least, most), _ in members:
            number = numbers.search(name)
            assert number is not None, name
            by_number[int(number[1])] = entry(fields.get(name, reference), least, most)
        gap = pool.entry("", WITHDRAWN, 0, False, False)
        return [by_number.get(number, gap) for number in range(1, max(by_number, default=0) + 1)]

    for segment, shape in parts["segments"].SEGMENTS.items():
        if not re.fullmatch(SEGMENT, segment):
            continue
        members = shape[1] if len(shape) > 1 else ()
        pool.add("segments", segment, version, known.get(f"segment {segment}", ""), listed(members))
    for data_type, members in types.items():
        pool.add("types", data_type, version, known.get(f"type {data_type}", ""), listed(members))
    for message, shape in parts["messages"].MESSAGES.items():
        text = late_syntax(shape[1]) if len(shape) > 1 else ""
        pool.add("messages", message, version, known.get(f"message {message}", ""), text)
    tables: dict[str, Any] = parts["tables"].TABLES
    return tables


def made(package: Path) -> dict[str, Any]:
    """The whole dictionary."""
    source = early(package)
    definitions = source["definitions"]
    versions = [*definitions, *LATE]
    pool = Pool(versions)
    known: dict[str, str] = dict(LATE_NAMES)
    for version, parts in definitions.items():
        for segment, each in parts["segments"].items():
            if not re.fullmatch(SEGMENT, segment):
                continue
            known[f"segment {segment}"] = spaced(each["desc"])
            for field in each["fields"]:
                known[plain(field["desc"])] = spaced(field["desc"])
            pool.add("segments", segment, version, each["desc"], fields_of(pool, each["fields"]))
        for data_type, each in parts["fields"].items():
            known[f"type {data_type}"] = spaced(each["desc"])
            for component in each["subfields"]:
                known.setdefault(plain(component["desc"]), spaced(component["desc"]))
            pool.add("types", data_type, version, each["desc"], fields_of(pool, each["subfields"]))
        for message, each in parts["messages"].items():
            known[f"message {message}"] = spaced(each["desc"])
            pool.add("messages", message, version, each["desc"], syntax(each["segments"]["segments"]))
    tables = {
        number: [spaced(each["desc"]), {code: spaced(text) for code, text in each["values"].items()}]
        for number, each in source["tables"].items()
    }
    for version in LATE:
        for name, (title, codes) in add_late(pool, version, known).items():
            number = re.fullmatch(r"HL7(\d{4})", name)
            if number is not None:
                table = tables.setdefault(str(int(number[1])), [title, {}])
                for code in codes:
                    table[1].setdefault(code, "")
    return {"versions": versions, "entries": pool.entries, **pool.kinds, "tables": tables}


def main(package: str, wheel: str, target: str) -> None:
    """Write the file; nothing in it tells when or where it was made."""
    sys.path.insert(0, wheel)
    text = json.dumps(made(Path(package)), ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    Path(target).write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))


if __name__ == "__main__":
    main(*sys.argv[1:])
