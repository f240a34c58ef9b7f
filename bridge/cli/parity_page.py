"""A comparison as one static HTML page, without scripts and without values of messages."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from bridge.cli import output as out
from bridge.cli.coverage_page import Html, html_table, page
from bridge.migration.parity_report import OUTCOMES, WORDS, RouteParity, headline, summary

CLUSTER_COLUMNS = (
    "difference", "ours", "theirs", "messages", "alone", "explained by", "fingerprint", "as in message",
)  # fmt: skip


def parity_page(channel: str, found: Sequence[RouteParity], now_us: int) -> str:
    """The page, to be sent round."""
    body: list[str] = []
    for each in found:
        body.append(f"<h2>{escape(each.route)}</h2>")
        body += [f"<p>{escape(line)}</p>" for line in summary(each, now_us)[:1]]
        rows = (
            (
                headline(cluster),
                Html(f"<code>{escape(cluster.ours or '(absent)')}</code>"),
                Html(f"<code>{escape(cluster.theirs or '(absent)')}</code>"),
                cluster.number,
                cluster.alone,
                cluster.accepted_why if cluster.is_explained(now_us) else "open",
                Html(f"<code>{cluster.fingerprint}</code>"),
                " ".join(str(one) for one in cluster.examples[:5] if one is not None),
            )
            for cluster in each.clusters
        )
        body.append(html_table(CLUSTER_COLUMNS, rows, right=["messages", "alone"]))
        words = [*WORDS.values()]
        types = (
            (name, *(counts.get(outcome, 0) for outcome in OUTCOMES))
            for name, counts in sorted(each.by_type.items())
        )
        body += ["<h3>By message type</h3>", html_table(["type", *words], types, right=words)]
        if each.rules:
            rules = html_table(["rule", "times"], sorted(each.rules.items()), right=["times"])
            body += ["<h3>What rules allowed</h3>", rules]
        if each.money:
            sums = [
                (path, ours, theirs, ours - theirs) for path, (ours, theirs) in sorted(each.money.items())
            ]
            columns = ["place", "here", "there", "off by"]
            body += ["<h3>Money</h3>", html_table(columns, sums, right=columns[1:])]
    said = (
        f"As of {out.moment(now_us)}. A letter stands for letters, a 9 for a digit: no value of a message is "
        "on this page."
    )
    return page(f"Parity of {channel}", said, body)
