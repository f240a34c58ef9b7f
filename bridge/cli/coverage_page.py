"""Coverage as one static HTML page, without scripts and without anything from elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from string import Template
from typing import Final

from bridge.cli.coverage import by_size, name_of, segment_name, sums, unmapped, versions
from bridge.mapping.accounting import Status
from bridge.mapping.coverage import STATUSES, Coverage

STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #1d2430; background: #fff }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2.2rem }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #e3e7ee; vertical-align: top } td:first-child { white-space: nowrap }
.wide { max-width: none; font-size: 13px } .wide td:nth-child(3) { min-width: 13rem } .wide td:nth-child(6) { font-family: ui-monospace, monospace; min-width: 16rem; overflow-wrap: anywhere }
th { font-weight: 600; position: sticky; top: 0; background: #fff } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
td.w { min-width: 14rem } @media (max-width: 60rem) { .table { overflow-x: auto } th { position: static } }
.bar { display: flex; height: .8rem; min-width: 12rem; background: #eef0f4 } .used { background: #2f7d4f } .ignored { background: #a9b4c4 } .unmapped { background: #d9822b }
.key i { display: inline-block; width: .8rem; height: .8rem; margin: 0 .3rem 0 1rem } code { font-size: .95em }
@media (prefers-color-scheme: dark) { body, th { background: #14181f; color: #d8dee9 } th, td { border-color: #2b3340 } .bar { background: #2b3340 } }
"""  # noqa: E501 - a style sheet
PROSE_CHARACTERS: Final = 30
"""A longer text folds, in a column that is wide enough for it."""
_NUMBER: Final = ' class="n"'
_PROSE: Final = ' class="w"'
_PAGE: Final = Template("""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>$title</title>
<style>$style</style></head>
<body$kind>
<h1>$title</h1>
<p>$sums</p>
$body
</body>
</html>
""")


def page(title: str, sums: str, body: Iterable[str], *, wide: bool = False) -> str:
    """A whole page; ``body`` is HTML, the rest is text. A ``wide`` one is as wide as its window."""
    kind = ' class="wide"' if wide else ""
    return _PAGE.substitute(
        title=escape(title), sums=escape(sums), style=STYLE, kind=kind, body="\n".join(body)
    )


def html_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()) -> str:
    """A table of texts, or the word none where there are no rows; a cell that is HTML already is an `Html`.

    Where a window is too narrow the table moves sideways, and not the page.
    """
    numbers = [name in right for name in columns]

    def line(tag: str, cells: Sequence[object]) -> str:
        texts = [cell if isinstance(cell, Html) else escape(str(cell)) for cell in cells]
        return "".join(
            f"<{tag}{_NUMBER if number else _PROSE if len(text) > PROSE_CHARACTERS else ''}>{text}</{tag}>"
            for text, number in zip(texts, numbers, strict=True)
        )

    body = "\n".join(f"<tr>{line('td', row)}</tr>" for row in rows)
    if not body:
        return "<p>none</p>"
    head = f"<thead><tr>{line('th', columns)}</tr></thead>"
    return f'<div class="table"><table>{head}<tbody>\n{body}\n</tbody></table></div>'


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def coverage_page(found: Coverage) -> str:
    """The page. No value of a message is in it."""
    shares = ", ".join(f"{found.by_status[each]} {each} ({found.percent(each):.1f} %)" for each in STATUSES)
    key = "".join(f'<i class="{each}"></i>{each}' for each in STATUSES)
    body = [f"<p>{escape(shares)} of {found.total} values</p>", _bar(found), f'<p class="key">{key}</p>']
    form = found.plans[0].format
    rows: Iterable[Sequence[object]] = (
        (
            name,
            segment_name(name, form),
            *(counts[each] for each in STATUSES),
            Html(_shares(counts)),
        )
        for name, counts in by_size(found)
    )
    body += ["<h2>Segments</h2>", html_table(["segment", "name", *STATUSES, "share"], rows, right=STATUSES)]
    rows = (
        (spot.path, name_of(spot, form), tally.values, tally.messages, tally.failed, because)
        for spot, because, tally in unmapped(found)
    )
    columns = ["place", "name", "values", "messages", "in failed messages", "because"]
    body += ["<h2>Unmapped</h2>", html_table(columns, rows, right=columns[2:5])]
    rows = ((path, because, values) for (path, because), values in found.ignored_by.most_common())
    body += ["<h2>Ignored</h2>", html_table(["path", "because", "values"], rows, right=["values"])]
    body += [
        f"<p>{escape(name)}: nothing was left out by the entry <code>{escape(path)}</code></p>"
        for name, path in found.unused_ignores
    ]
    rows = ((*at, count) for at, count in found.issues_by_code.most_common())
    columns = ["code", "field", "source", "count"]
    body += ["<h2>Issues</h2>", html_table(columns, rows, right=["count"])]
    if found.other_types:
        rows = found.other_types.most_common()
        body += ["<h2>Other types, left out</h2>", html_table(["type", "messages"], rows, right=["messages"])]
    return page(f"Coverage of {versions(found)}", sums(found), body)


def _bar(found: Coverage) -> str:
    return _shares(found.by_status)


def _shares(counts: Counter[Status]) -> str:
    total = counts.total() or 1
    parts = (
        f'<span class="{each}" style="width:{100 * counts[each] / total:.2f}%"></span>' for each in STATUSES
    )
    return f'<div class="bar">{"".join(parts)}</div>'
