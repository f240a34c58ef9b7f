"""Claims that are another's: known by their words, told when they are old, taken over where they may be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sftp_doors import options, secrets, sftp_server

from bridge.transports.base import Fate, owner_of
from bridge.transports.collecting import End, Place
from bridge.transports.collecting_options import CollectingOptions
from bridge.transports.file_drop_folder import LocalFolder
from bridge.transports.other_claims import LOOK_EVERY_S, OLD_S, Other, OtherClaims
from bridge.transports.sftp_place import SftpFolder

OURS = owner_of("5f3a09c1", "lab")
ALONGSIDE = Other("5f3a09c1-lab.x@1", "a.hl7")
FOREIGN = Other("77777777-lab@1", "b.hl7")
FORMER = Other("5f3a09c1-0011223344556677", "c.hl7")
UNSEEN = Other("5f3a09c1-8899aabbccddeeff", "")


@contextmanager
def place_of(kind: str, folder: Path, **more: Any) -> Iterator[Place]:
    if kind == "local":
        folder.mkdir(exist_ok=True)
        yield LocalFolder(str(folder), CollectingOptions.model_validate(more))
        return
    with sftp_server(folder) as server:
        place = SftpFolder(options(server, **more), secrets, lambda: 0.0)
        try:
            yield place
        finally:
            place.close()


def lay(folder: Path, *claims: Other) -> None:
    for each in claims:
        file = folder / ".bridge-claims" / each.word / "file" / (each.name or "x")
        file.parent.mkdir(parents=True)
        if each.name:
            file.write_bytes(b"x")


def test_an_old_claim_is_told_and_a_young_one_or_one_that_went_is_not() -> None:
    claims = OtherClaims()
    assert claims.due(5.0)
    assert claims.seen([ALONGSIDE, FOREIGN], OURS, lambda _name: True, 5.0) == []
    assert not claims.due(4.0 + LOOK_EVERY_S)
    assert claims.due(5.0 + LOOK_EVERY_S)
    assert list(claims.old(4.0 + OLD_S)) == []
    claims.seen([FOREIGN], OURS, lambda _name: True, 6.0)
    [(name, why)] = claims.old(5.0 + OLD_S)
    assert name == "b.hl7"
    assert ".bridge-claims/77777777-lab@1" in why
    claims.seen([], OURS, lambda _name: True, 7.0)
    assert list(claims.old(5.0 + OLD_S)) == []


def test_claims_without_a_channels_name_are_taken_over_where_they_are_the_journals_and_wanted() -> None:
    there = [ALONGSIDE, FOREIGN, FORMER, UNSEEN, Other("77777777-0011223344556677", "c.hl7")]
    assert OtherClaims().seen(there, OURS, lambda name: name == "c.hl7", 0.0) == [FORMER]
    assert OtherClaims().seen(there, OURS, lambda _name: False, 0.0) == []
    assert OtherClaims().seen(there, "tap-5f3a09c1-", lambda _name: True, 0.0) == []


@pytest.mark.parametrize("kind", ["local", "sftp"])
@pytest.mark.parametrize("claim", [True, False])
def test_claims_are_seen_as_ones_own_or_anothers_and_taken_over_by_one_alone(
    tmp_path: Path, kind: str, *, claim: bool
) -> None:
    folder = tmp_path / "in"
    with place_of(kind, folder, claim=claim) as place:
        assert (place.claims(OURS), place.others(OURS)) == ([], [])
        lay(folder, ALONGSIDE, FOREIGN, FORMER, UNSEEN)
        assert place.others(OURS) == [FORMER, UNSEEN, ALONGSIDE, FOREIGN]
        place.adopt(FORMER.word, f"{OURS}1")
        place.adopt(FORMER.word, f"{owner_of('5f3a09c1', 'ward')}1")
        assert [(each.claim, each.seen.name) for each in place.claims(OURS)] == [(f"{OURS}1", "c.hl7")]
        assert place.claims(owner_of("5f3a09c1", "ward")) == []
        assert place.others(OURS) == [UNSEEN, ALONGSIDE, FOREIGN]


@pytest.mark.parametrize("kind", ["local", "sftp"])
@pytest.mark.parametrize("more", [{"claim": False}, {"after": "keep"}])
def test_what_was_claimed_is_put_away_also_where_files_stay_by_now(
    tmp_path: Path, kind: str, more: dict[str, Any]
) -> None:
    folder = tmp_path / "in"
    with place_of(kind, folder, **{"after": "move", **more}) as place:
        lay(folder, Other(f"{OURS}1", "a.hl7"))
        [claimed] = place.claims(OURS)
        place.put_away(claimed, End(Fate(7, good=True), None))
        assert (folder / "done" / "a.hl7").read_bytes() == b"x"
        assert list((folder / ".bridge-claims").iterdir()) == []


def test_a_folder_of_claims_that_is_none_stops_a_place_only_where_files_are_claimed(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    with place_of("local", folder, claim=False) as place:
        (folder / ".bridge-claims").touch()
        assert (place.claims(OURS), place.others(OURS)) == ([], [])
