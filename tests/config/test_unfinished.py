"""What a channel that is not finished will use: nobody is told to delete it."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_site import API, CATALOG, CHANNEL, FILES, MAPPING, write_site

from bridge.config.load import check

C, A, M = FILES
PROD = "channels/environments/prod.yaml"
LATER = "unfinished/channels/later.yaml"
IDLE: dict[str, str | bytes] = {
    C: CHANNEL,
    A: API.replace("https://ehr.example", "value://ehr"),
    M: MAPPING,
    PROD: "environment: prod\nproduction: true\nvalues:\n  ehr: https://ehr.example\n  later-in: /in\n",
    "channels/apis/later.yaml": API.replace("ehr.patients", "later.files"),
    "mappings/later.yaml": MAPPING.replace("mapping: adt-admit", "mapping: later"),
}


def unused(folder: Path, files: dict[str, str | bytes]) -> list[str]:
    problems = check(write_site(folder, files), CATALOG).problems
    return [problem.text for problem in problems if problem.code == "C141"]


@pytest.mark.parametrize(
    "said",
    [
        "source:\n  file_drop: {directory: value://later-in}\nroutes:\n"
        "  - route: files\n    mapping: later\n    to: {api: later.files}\n",
        "# No route uses mappings/later.yaml, in which its steps are; value://later-in\n"
        "  #   - route: files\n  #     to: {api: later.files}\n",
    ],
)
def test_what_an_unfinished_channel_refers_to_is_not_called_unused(said: str, tmp_path: Path) -> None:
    assert len(unused(tmp_path / "idle", IDLE)) == 3
    assert unused(tmp_path / "awaited", {**IDLE, LATER: said}) == []


def test_what_a_route_that_is_commented_out_refers_to_is_not_called_unused(tmp_path: Path) -> None:
    route = "  #   - route: files\n  #     mapping: later\n  #     to: {api: later.files}\n"
    assert unused(tmp_path, {**IDLE, C: CHANNEL + route}) == ["no file refers to value://later-in"]


def test_an_unfinished_channel_that_cannot_be_read_is_no_mistake(tmp_path: Path) -> None:
    site = write_site(tmp_path, IDLE)
    (site / LATER).mkdir(parents=True)
    (site / LATER).with_name("gone.yaml").symlink_to("nowhere")
    (site / LATER).with_name("odd.yaml").write_bytes(b"\xff\xfe: [")
    assert check(site, CATALOG).topology is not None
