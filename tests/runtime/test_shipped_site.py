"""The files that come with the bridge, in a node: a report goes in over MLLP, orders and results come out."""

from __future__ import annotations

from pathlib import Path
from shutil import copyfile
from urllib.parse import unquote

import orjson
import pytest
from nodes import Hospital
from reactor_tests import in_reactor

from bridge.catalog import STANDARD
from bridge.cli.batch_site import ENVIRONMENT, write_examples
from bridge.cli.demo import send_all
from bridge.cli.fake_api import FakeApi
from bridge.cli.synthetic import Synthetic
from bridge.config.environments import FOLDER
from bridge.config.load import check
from bridge.destinations.in_loop import in_loop
from bridge.shipped import shipped

ROOT = Path(__file__).parents[2]
REPORT = (ROOT / "legacy_fixtures" / "hl7v2" / "oru_r01.hl7").read_bytes()

pytestmark = pytest.mark.both_databases


def site_of(folder: Path, url: str) -> None:
    for name in ("channels/lab-results.yaml", "channels/apis/ehr.results.yaml", "mappings/lab-results.yaml"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        copyfile(ROOT / name, folder / name)
    channel = folder / "channels" / "lab-results.yaml"
    channel.write_text(channel.read_text().replace("tcp:2576:", "tcp:0:"))
    api = folder / "channels" / "apis" / "ehr.results.yaml"
    api.write_text(api.read_text().replace("http://127.0.0.1:8080", url))


def test_the_examples_of_files_have_no_mistakes_in_the_environment_that_comes_with_them(
    tmp_path: Path,
) -> None:
    site = write_examples(tmp_path, url="http://127.0.0.1:9", charges_of_a_file=5)
    copyfile(shipped("channels", "examples", "environments", "test.yaml"), site / FOLDER / "test.yaml")
    found = check(site, STANDARD)
    assert found.environments == (ENVIRONMENT, "test")
    assert dict(found.problems) == {}


@in_reactor
async def test_a_report_becomes_its_order_and_each_of_its_results_in_order(tmp_path: Path) -> None:
    site = Hospital(tmp_path)
    api = FakeApi()
    site_of(tmp_path / "site", await in_loop(api.start()))
    try:
        node = await site.start()
        sent = await in_loop(
            send_all(node.addresses()["lab-results"], [Synthetic("100234", 1, "310", REPORT)])
        )
        assert [each.answer.code for each in sent] == ["AA"]
        ledger = await site.settled()
        assert {name: count for name, count in ledger.channels["lab-results"].items() if count} == {
            "delivered": 1
        }
        calls = [(each.method, unquote(each.path)) for each in api.attempts]
        assert calls[0] == ("PUT", "/orders/LAB:LAB-99120:58410-2")
        assert len(calls) == 21
        first, *_, last = [orjson.loads(each.body) for each in api.attempts[1:]]
        assert (first["code"], first["value_number"], first["unit"]) == ("718-7", "12.9", "g/dL")
        assert first["order"] == "LAB:LAB-99120:58410-2"
        assert last["comments"] == ["Specimen slightly hemolysed."]
        assert last["value_text"].startswith("Leukocytes raised.")
    finally:
        await site.stop()
        await in_loop(api.stop())
