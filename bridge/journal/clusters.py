"""Clusters: differences that are alike, counted exactly, however many there are; and bounded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, and_, func, insert, select, update

from bridge.journal.stage_schema import clusters

EXAMPLES_MAX = 20
"""The first and the last so many messages of each cluster are told."""
CLUSTERS_MAX = 500
"""Of one route and mapping; what is more counts under its kind alone."""


class Found(NamedTuple):
    """One difference of a pair."""

    fingerprint: str
    kind: str
    path: str
    ours: str
    theirs: str


def write_clusters(connection: Connection, found: dict[tuple[str, str, str, str], dict[str, Any]]) -> None:
    """Count differences under their clusters: by channel, route, mapping and fingerprint."""
    by_place: dict[tuple[str, str, str], dict[str, dict[str, Any]]] = {}
    for (channel, route, mapping, fingerprint), row in found.items():
        by_place.setdefault((channel, route, mapping), {})[fingerprint] = row
    for place, rows in by_place.items():
        of_place = and_(*(column == value for column, value in zip(_PLACE, place, strict=True)))
        room = (
            CLUSTERS_MAX
            - connection.execute(select(func.count()).select_from(clusters).where(of_place)).scalar_one()
        )
        known = _known(connection, of_place, list(rows))
        kept: dict[str, dict[str, Any]] = {}
        for fingerprint, row in rows.items():
            if fingerprint in known or room > 0:
                room -= fingerprint not in known
                kept[fingerprint] = row
            else:
                _add_to_others(kept, row)
        known |= _known(connection, of_place, [each for each in kept if each not in known])
        for fingerprint, row in kept.items():
            _write_cluster(connection, of_place, place, fingerprint, row, known.get(fingerprint))


_PLACE = (clusters.c.channel, clusters.c.route, clusters.c.mapping)
_ASKED_MAX = 500


def _known(connection: Connection, of_place: Any, fingerprints: Sequence[str]) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    for start in range(0, len(fingerprints), _ASKED_MAX):
        some = clusters.c.fingerprint.in_(list(fingerprints[start : start + _ASKED_MAX]))
        found = connection.execute(select(clusters).where(of_place, some))
        rows |= {row.fingerprint: row for row in found}
    return rows


def _add_to_others(kept: dict[str, dict[str, Any]], row: dict[str, Any]) -> None:
    """Count a difference for which there is no cluster any more under its kind alone."""
    kind = row["difference"].kind
    others = Found(f"others {kind}", kind, "(others)", "…", "…")
    into = kept.get(others.fingerprint)
    if into is None:
        kept[others.fingerprint] = {**row, "difference": others, "examples": list(row["examples"])}
        return
    into["number"] += row["number"]
    into["alone"] += row["alone"]
    into["last"] = row["last"]
    into["examples"] += row["examples"]


def _write_cluster(
    connection: Connection,
    of_place: Any,
    place: tuple[str, str, str],
    fingerprint: str,
    row: Any,
    before: Any,
) -> None:
    difference = row["difference"]
    if before is None:
        channel, route, mapping = place
        connection.execute(
            insert(clusters).values(
                channel=channel, route=route, mapping=mapping, fingerprint=fingerprint,
                kind=difference.kind, path=difference.path, ours=difference.ours, theirs=difference.theirs,
                number=row["number"], alone=row["alone"], first_at_us=row["first"], last_at_us=row["last"],
                examples=_examples([], row["examples"]),
            )
        )  # fmt: skip
        return
    connection.execute(
        update(clusters)
        .where(of_place, clusters.c.fingerprint == fingerprint)
        .values(
            number=before.number + row["number"],
            alone=before.alone + row["alone"],
            last_at_us=row["last"],
            examples=_examples(orjson.loads(before.examples), row["examples"]),
        )
    )


def _examples(before: list[int | None], more: list[int | None]) -> str:
    every = [*before, *more]
    kept = every if len(every) <= 2 * EXAMPLES_MAX else [*every[:EXAMPLES_MAX], *every[-EXAMPLES_MAX:]]
    return orjson.dumps(kept).decode()
