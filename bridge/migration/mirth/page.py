"""The assessment as one page of HTML: no script, nothing fetched, every text of the export escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

from bridge.migration.mirth.outcomes import WORDS

PROSE_CHARACTERS: Final = 30
"""A longer text folds, in a column that is wide enough for it; no word breaks, and where the window is too
narrow the table moves sideways, not the page."""
_STYLE: Final = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:90rem;padding:0 1rem;color:#1c2330}
body{background:#fff}h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2.2rem}
table{border-collapse:collapse;width:100%;margin:.6rem 0}
th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #dde2ea}
td.w{min-width:12rem}td code{display:inline-block;min-width:12rem;overflow-wrap:anywhere}
.t{overflow-x:auto}
th{background:#f3f5f9}td.n,th.n{text-align:right}.converted{color:#14703c}.approximated{color:#8a5a00}
.manual{color:#a1260d}.dropped{color:#5a6475}code{font-size:.86em}p.lead{font-size:1.05rem}
@media(prefers-color-scheme:dark){body{background:#12161d;color:#e3e8f0}th{background:#1c222c}th,td{border-color:#2b333f}
.converted{color:#62c98b}.approximated{color:#e0b34f}.manual{color:#f08a76}.dropped{color:#9aa6b8}}
""".strip()


def page(report: Mapping[str, Any]) -> str:
    """The whole page."""
    parts = [
        _head(report),
        _waves(report),
        _inventory(report),
        _ports(report),
        _kinds(report),
        _connectors(report),
        _differs(report),
        _server(report),
        _secrets(report),
        _refused(report),
        _details(report),
    ]
    body = "\n".join(part for part in parts if part)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Migration assessment</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _head(report: Mapping[str, Any]) -> str:
    elements = report["elements"]
    counts = ", ".join(f'<span class="{word}">{report[word]} {word}</span>' for word in WORDS)
    return (
        f"<h1>Migration assessment</h1><p class=lead>{report['channels']} channels, {elements} elements: "
        f"{counts}. "
        f"Effort left: about {report['points']} points.</p>"
        "<p>An element is one filter rule, transformer step or script. <b>Converted</b>: the mapping does "
        "what it did. <b>Approximated</b>: it differs as said. <b>Manual</b>: somebody must write it. "
        "<b>Dropped</b>: it is not needed, for the reason given. A point is about an hour.</p>"
    )


def _waves(report: Mapping[str, Any]) -> str:
    rows = (
        (each["wave"], each["what"], ", ".join(each["channels"]) or "none", each["points"])
        for each in report["waves"]
    )
    return _table("Proposed waves", ("wave", "what", "channels", "points"), rows, numbers=("points",))


def _inventory(report: Mapping[str, Any]) -> str:
    columns = (
        "channel",
        "version",
        "source",
        "destinations",
        "elements",
        *WORDS,
        "points",
        "wave",
        "remarks",
    )
    rows = (
        (
            each["channel"],
            each["version"],
            each["source"],
            ", ".join(each["destinations"]),
            each["elements"],
            *(each[word] for word in WORDS),
            each["points"],
            each["wave"],
            _remarks(each),
        )
        for each in report["inventory"]
    )
    return _table("Channels", columns, rows, numbers=("elements", *WORDS, "points", "wave"))


def _remarks(each: Mapping[str, Any]) -> str:
    found = [f"dead? {each['dead']}"] if each["dead"] and not each["held"] else []
    found += [f"the same as {each['double_of']}"] if each["double_of"] else []
    found += [f"hands on to {', '.join(each['writes_to'])}"] if each["writes_to"] else []
    found += [f"calls {', '.join(each['calls'])}"] if each["calls"] else []
    found += [f"starts after {', '.join(each['depends_on'])}"] if each["depends_on"] else []
    found += [f"held back: {each['held']}"] if each["held"] else []
    found += [] if each["runs"] or each["held"] else ["does not run yet"]
    return "; ".join(found)


def _ports(report: Mapping[str, Any]) -> str:
    rows = (
        (
            each["direction"],
            each["host"],
            each["port"],
            each["transport"],
            each["channel"],
            "twice" if each["twice"] else "",
        )
        for each in report["ports"]
    )
    return _table("Ports", ("direction", "host", "port", "transport", "channel", ""), rows, numbers=("port",))


def _kinds(report: Mapping[str, Any]) -> str:
    rows = ((each["kind"], each["elements"], *(each[word] for word in WORDS)) for each in report["kinds"])
    return _table("Elements by kind", ("kind", "elements", *WORDS), rows, numbers=("elements", *WORDS))


def _connectors(report: Mapping[str, Any]) -> str:
    rows = (
        (
            each["channel"],
            each["connector"],
            each["transport"],
            each["outcome"],
            each["reason"] or each["into"],
        )
        for each in report["connectors"]
    )
    return _table("Connectors", ("channel", "connector", "transport", "outcome", ""), rows)


def _differs(report: Mapping[str, Any]) -> str:
    rows = ((each["channel"], note) for each in report["inventory"] for note in each["differs"])
    return _table("What a channel does otherwise, beside its elements and connectors", ("channel", ""), rows)


def _server(report: Mapping[str, Any]) -> str:
    rows = ((each["kind"], each["name"], each["what"]) for each in report["server"])
    return _table("Of the whole server", ("kind", "name", "what becomes of it"), rows)


def _secrets(report: Mapping[str, Any]) -> str:
    rows = ((each["channel"], each["what"], each["xpath"]) for each in report["secrets"])
    return _table("Secrets in the export (their values stay there)", ("channel", "what", "where"), rows)


def _refused(report: Mapping[str, Any]) -> str:
    rows = ((each["file"], each["reason"]) for each in report["refused"])
    return _table("Not read", ("file", "reason"), rows)


def _details(report: Mapping[str, Any]) -> str:
    rows = (
        (
            each["channel"],
            each["where"],
            each["kind"],
            each["name"],
            each["outcome"],
            each["reason"] or each["into"],
            each["xpath"],
        )
        for each in report["details"]
    )
    return _table("Every element", ("channel", "where", "kind", "name", "outcome", "", "XPath"), rows)


def _table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], numbers: Sequence[str] = ()
) -> str:
    made = []
    for row in rows:
        cells = "".join(_cell(name, value, name in numbers) for name, value in zip(columns, row, strict=True))
        made.append(f"<tr>{cells}</tr>")
    if not made:
        return ""
    head = "".join(f"<th{' class=n' if name in numbers else ''}>{escape(name)}</th>" for name in columns)
    table = f"<table><tr>{head}</tr>\n" + "\n".join(made) + "\n</table>"
    return f"<h2>{escape(title)}</h2>\n<div class=t>{table}</div>"


def _cell(name: str, value: object, number: bool) -> str:
    text = escape(str(value))
    if name == "outcome":
        return f'<td class="{text}">{text}</td>'
    if name in ("XPath", "where") and text.startswith("/"):
        return f"<td><code>{text}</code></td>"
    return f"<td{' class=n' if number else ' class=w' if len(text) > PROSE_CHARACTERS else ''}>{text}</td>"
