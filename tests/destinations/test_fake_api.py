from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from http_peers import serving
from reactor_tests import in_reactor
from twisted.internet.defer import Deferred

from bridge.cli.fake_api import Chances, FakeApi, Fault
from bridge.destinations.in_loop import in_loop


async def called(url: str, key: str = "", body: object = None, method: str = "POST") -> tuple[int, Any]:
    """The status and JSON of one call; status 0 where the connection broke."""

    async def made() -> tuple[int, Any]:
        headers = {"Idempotency-Key": key} if key else {}
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
                session.request(
                    method, url, data=orjson.dumps(body), headers=headers, allow_redirects=False
                ) as answer,
            ):
                return answer.status, orjson.loads(await answer.read() or b"null")
        except aiohttp.ClientConnectionError:
            return 0, None

    return await in_loop(made())


@in_reactor
async def test_a_repeat_gets_the_first_answer_and_is_not_applied_again() -> None:
    fake = FakeApi(mark="visit")
    async with serving(fake) as url:
        first = await called(f"{url}/a/1", "k.0", {"visit": "V1"})
        assert first == (200, {"applied": 1})
        assert await called(f"{url}/a/1", "k.0", {"visit": "V1"}) == first
        assert await called(f"{url}/a/2", "l.0", {"visit": 2}) == (200, {"applied": 2})
    assert [(each.path, each.idempotency_key, each.mark) for each in fake.applied] == [
        ("/a/1", "k.0", "V1"),
        ("/a/2", "l.0", "2"),
    ]
    assert [each.answered for each in fake.attempts] == [200, 200, 200]
    assert [each.number for each in fake.arrivals("/a/1")] == [1, 2]


@pytest.mark.parametrize(
    ("path", "method", "body"),
    [("/a/1", "POST", {"other": 1}), ("/a/2", "POST", {}), ("/a/1", "PUT", {})],
    ids=["body", "path", "method"],
)
@in_reactor
async def test_a_key_reused_for_another_request_is_refused(path: str, method: str, body: object) -> None:
    fake = FakeApi()
    async with serving(fake) as url:
        await called(f"{url}/a/1", "k.0", {})
        status, problem = await called(url + path, "k.0", body, method)
    assert (status, problem["type"].rpartition("/")[2]) == (422, "idempotency-conflict")
    assert len(fake.applied) == 1


@in_reactor
async def test_calls_without_a_key_are_all_applied() -> None:
    fake = FakeApi()
    async with serving(fake) as url:
        assert await called(f"{url}/a/1") == (200, {"applied": 1})
        assert await called(f"{url}/a/1") == (200, {"applied": 2})


@in_reactor
async def test_faults_hit_the_calls_they_are_planted_for() -> None:
    fake = FakeApi(reject={"bad/key"})
    async with serving(fake) as url:
        fake.plant(
            Fault("status", 503, path="/a/1", times=2), Fault("lose", path="/a/2"), Fault("cut", path="/a/3")
        )
        fake.plant(
            Fault("redirect", location="/elsewhere", path="/a/4"), Fault("delay", seconds=0.01, path="/a/5")
        )
        answers = [
            (await called(f"{url}/a/{number}", f"k{number}.0"))[0] for number in (1, 1, 1, 2, 2, 3, 3, 4, 5)
        ]
        rejected = await called(f"{url}/a/bad%2Fkey", "k6.0")
    assert answers == [503, 503, 200, 0, 200, 0, 200, 307, 200]
    assert rejected[0] == 422
    assert [each.path for each in fake.applied] == ["/a/1", "/a/2", "/a/3", "/a/5"]
    assert [each.answered for each in fake.arrivals("/a/2")] == [None, 200]


@in_reactor
async def test_a_hanging_call_ends_when_the_api_stops() -> None:
    fake = FakeApi()
    async with serving(fake) as url:
        fake.plant(Fault("hang"))
        under_way = Deferred.fromCoroutine(called(f"{url}/a/1", "k.0"))
        while not fake.attempts:
            await in_loop(asyncio.sleep(0.005))
    assert await under_way == (0, None)
    assert fake.applied == []


def test_chances_depend_on_seed_key_and_attempt_alone() -> None:
    chances = Chances(fail_ratio=0.1, drop_ratio=0.1, seed=7)
    drawn = [chances.fault(f"d-{number}.0", 1) for number in range(2_000)]
    kinds = [fault.kind if fault else "" for fault in drawn]
    assert drawn == [chances.fault(f"d-{number}.0", 1) for number in range(2_000)]
    assert drawn != [Chances(0.1, 0.1, 8).fault(f"d-{number}.0", 1) for number in range(2_000)]
    assert 150 < kinds.count("status") < 250
    assert 150 < kinds.count("lose") < 250
    assert any(chances.fault("d-1.0", attempt) is None for attempt in range(1, 20))
    assert Chances().fault("d-1.0", 1) is None


@in_reactor
async def test_what_is_applied_is_logged_once_even_when_its_answer_is_lost() -> None:
    log = BytesIO()
    fake = FakeApi(mark="visit", log=log)
    async with serving(fake) as url:
        fake.plant(Fault("lose"))
        for _ in range(2):
            await called(f"{url}/a/1", "k.0", {"visit": "V1"})
    [line] = log.getvalue().splitlines()
    assert orjson.loads(line) == {
        "number": 1,
        "method": "POST",
        "path": "/a/1",
        "idempotency_key": "k.0",
        "body_sha256": fake.attempts[0].body_sha256,
        "mark": "V1",
    }


@pytest.fixture(name="alone")
def _alone(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The URL of the API as its own process, and its log."""
    log = tmp_path / "applied.jsonl"
    command = [sys.executable, "-m", "bridge.cli.fake_api", "--log", str(log), "--mark", "visit"]
    command += ["--fail-ratio", "0.2", "--drop-ratio", "0.2", "--seed", "7"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), log
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


@pytest.mark.live
@in_reactor
async def test_it_runs_alone_and_logs_before_it_answers(alone: tuple[str, Path]) -> None:
    url, log = alone
    broken = 0
    for number in range(20):
        for _ in range(20):
            status, _ = await called(f"{url}/a/{number}", f"k{number}.0", {"visit": f"V{number}"})
            if status == 200:
                break
            broken += 1
            assert status in {0, 503}
        logged = [orjson.loads(line) for line in log.read_bytes().splitlines()]
        assert [line["mark"] for line in logged] == [f"V{each}" for each in range(number + 1)]
    assert broken
