"""Flows in a channel file: what is refused of routes that go after others, at its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from config_site import API, CHANNEL, MAPPING, write_site

from bridge.catalog import STANDARD
from bridge.config.load import load
from bridge.errors import ConfigurationRefused

ROUTE = CHANNEL[CHANNEL.index("  - route: ") :]
SECOND = ROUTE.replace("route: patient", "route: again", 1)
FLOW = CHANNEL.replace(ROUTE, ROUTE + SECOND.replace("route: again", "route: again\n    after: [patient]"))


def problems(folder: Path, channel: str, api: str = API) -> list[str]:
    files: dict[str, str | bytes] = {
        "channels/adt.yaml": channel,
        "channels/apis/ehr.patients.yaml": api,
        "mappings/adt-admit.yaml": MAPPING,
    }
    try:
        load(write_site(folder, files), STANDARD)
    except ConfigurationRefused as refused:
        return list(map(str, refused.problems))
    return []


def undone(by: str) -> Callable[[str], str]:
    return lambda text: text.replace("route: patient", f"route: patient\n    undo: {by}", 1)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda text: text, []),
        (undone("by_hand"), []),
        (undone("putPatient"), []),
        (undone("putPatients"), ["C132", "putPatients", "putPatient"]),
        (
            lambda text: text.replace("[patient]", "[patience]"),
            ["C195", "patience", "did you mean 'patient'"],
        ),
        (lambda text: text.replace("[patient]", "[again]"), ["C195", "stands above"]),
        (
            lambda text: undone("by_hand")(text).replace("    after: [patient]\n", ""),
            ["C196", "never be undone"],
        ),
        (
            lambda text: text.replace("route: patient", "route: patient\n    if_fails: undo", 1),
            ["C196", "there are none"],
        ),
    ],
)
def test_a_flow_goes_from_above_to_below_and_what_undoes_it_is_there(
    tmp_path: Path, change: Callable[[str], str], expected: list[str]
) -> None:
    lines = problems(tmp_path, change(FLOW))
    assert len(lines) == bool(expected), lines
    for words in expected:
        assert words in lines[0], lines


CONSENT = "consent: {mode: strict, purpose: TREAT, table: adt}\n"
KEEPER = """\
api: consent.adt
consents: adt
repeat_safety: natural_key
carries: {phi: true}
operations:
  keepConsent: {send_only: [key, ext.decision]}
"""


@pytest.mark.parametrize(
    ("old", "new", "api", "told"),
    [
        ("order_by: PID-3.1", "on_no_key: serial", API + CONSENT, True),
        ("order_by: PID-3.1", "on_no_key: serial", API + CONSENT.replace("strict", "lenient"), False),
        ("order_by: PID-3.1", "on_no_key: unordered", API + CONSENT, False),
        ("order_by: PID-3.1", "on_no_key: serial", API, False),
        ("order_by: PID-3.1", "order_by: PID-3.1", API + CONSENT, False),
    ],
)
def test_where_one_patient_who_has_not_decided_would_hold_up_all_it_is_said(
    tmp_path: Path, old: str, new: str, api: str, told: bool
) -> None:
    assert old in CHANNEL
    files: dict[str, str | bytes] = {
        "channels/adt.yaml": CHANNEL.replace(old, new),
        "channels/apis/ehr.patients.yaml": api,
        "channels/apis/consent.adt.yaml": KEEPER,
        "mappings/adt-admit.yaml": MAPPING,
    }
    found = load(write_site(tmp_path, files), STANDARD).warnings
    assert any(problem.code == "C197" for problem in found) == told


@pytest.mark.parametrize("mode", ["strict", "lenient"])
def test_a_table_of_consents_that_no_api_keeps_is_a_mistake_with_the_one_that_was_meant(
    tmp_path: Path, mode: str
) -> None:
    files: dict[str, str | bytes] = {
        "channels/adt.yaml": CHANNEL,
        "channels/apis/ehr.patients.yaml": API + CONSENT.replace("adt", "atd").replace("strict", mode),
        "channels/apis/consent.adt.yaml": KEEPER,
        "mappings/adt-admit.yaml": MAPPING,
    }
    with pytest.raises(ConfigurationRefused) as refused:
        load(write_site(tmp_path, files), STANDARD)
    (found,) = [each for each in refused.value.problems if each.severity == "error"]
    assert (found.code, found.hint) == ("C193", "did you mean 'adt'?")
    assert "no API keeps the table 'atd'" in found.text
