"""Options of the test run."""

from __future__ import annotations

import gc
import os
import random
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from databases import KINDS, crossed, on_postgresql
from hypothesis import settings
from postgres_server import PostgresServer

from bridge.journal import places
from bridge.journal.committing import Committer, Tell
from bridge.journal.places import InThread

# Machines are noisy: no test fails for its time. Where a change is checked before it lands, the same
# examples are drawn in each run; everywhere else new ones are, and find what those did not.
settings.register_profile("anywhere", deadline=None)
settings.register_profile("landing", deadline=None, derandomize=True)
settings.load_profile("landing" if os.environ.get("CI") else "anywhere")


KILLS_OF_A_TEST = 2
SEEDS_OF_A_TEST = 100
"""More than that is a drill."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kills", type=int, default=KILLS_OF_A_TEST, help="How often the kill drill ends the bridge."
    )
    parser.addoption(
        "--kill-deliveries", type=int, default=0, help="Deliveries that the kill drill is spread over."
    )
    parser.addoption("--worker-kills", type=int, default=2, help="How often the drill ends a worker.")
    parser.addoption("--reload-s", type=float, default=4, help="How long files change in the reload drill.")
    parser.addoption(
        "--fuzz-cpu-s", type=float, default=1.0, help="Processor time that each fuzzed part is tried for."
    )
    parser.addoption("--sftp-files", type=int, default=30, help="Files that a failing SFTP server gives.")
    parser.addoption("--sshd", type=Path, help="An OpenSSH server that gives them instead of the fake one.")
    parser.addoption("--samples", type=Path, help="A folder of files of X12 and HL7 v2 that are judged.")
    parser.addoption("--mutants", type=int, default=300, help="Changed copies of these that are read.")
    parser.addoption("--batch-records", type=int, default=150, help="Records of the file that is broken off.")
    parser.addoption(
        "--batch-format", choices=["fixed", "xml"], default="fixed", help="What this file is written in."
    )
    parser.addoption(
        "--batch-rerun",
        choices=["none", "delta", "replace"],
        default="none",
        help="What a second file of its day is, which comes meanwhile.",
    )
    parser.addoption("--large", type=int, default=1500, help="Messages of the journal that is searched.")
    parser.addoption("--odd-messages", type=int, default=250, help="Odd messages with planted words.")
    parser.addoption("--attack-s", type=float, default=0.6, help="How long a good sender is under attack.")
    parser.addoption("--seeds", type=int, default=SEEDS_OF_A_TEST, help="How many simulations are run.")
    parser.addoption(
        "--differential-messages", type=int, default=400, help="Messages that python-hl7 reads as well."
    )
    parser.addoption("--differential-folder", type=Path, help="A folder of messages that it reads as well.")
    parser.addoption(
        "--canary-messages", type=int, default=100, help="Messages full of canaries that are looked for."
    )
    parser.addoption(
        "--black-holes", type=int, default=1, help="Pairs of runs with and without an API that never answers."
    )
    parser.addoption("--charges", type=int, default=200, help="Charges posted over failing connections.")
    parser.addoption(
        "--stage-kills", type=int, default=2, help="How often a migration's bridge and engine are killed."
    )
    parser.addoption(
        "--event-servers", type=int, default=1, help="Servers of the stream in the drill of events."
    )
    parser.addoption("--stream-events", type=int, default=400, help="Events of the hour without a stream.")
    parser.addoption("--parity-pairs", type=int, default=1000, help="Pairs with planted differences.")
    parser.addoption("--parity-verdicts", type=int, default=3000, help="Verdicts that are counted.")
    parser.addoption("--tamperings", type=int, default=30, help="How often a journal is tampered with.")
    parser.addoption("--flips", type=int, default=15, help="Bytes of a file of evidence that are flipped.")
    parser.addoption(
        "--fhir-messages", type=int, default=40, help="Messages that come twice and go to a FHIR server."
    )
    parser.addoption("--outage-s", type=float, default=2, help="How long an API is away in the outage drill.")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Nothing of what is collected is ever garbage; looking for it costs a fifth of the time of a run."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session")
def fhir_messages(request: pytest.FixtureRequest) -> int:
    """How many messages come twice and go to a FHIR server."""
    return int(request.config.getoption("--fhir-messages"))


@pytest.fixture(scope="session")
def fuzz_cpu_s(request: pytest.FixtureRequest) -> float:
    """How long each fuzzed part is tried, in processor time."""
    return float(request.config.getoption("--fuzz-cpu-s"))


@pytest.fixture(scope="session")
def fuzz_seed() -> int:
    """What the inputs are made from: the same in each run where a change is checked before it lands."""
    return 1 if os.environ.get("CI") else random.randrange(2**32)


@pytest.fixture(scope="session")
def differential_messages(request: pytest.FixtureRequest) -> int:
    """How many generated messages are read by python-hl7 too."""
    return int(request.config.getoption("--differential-messages"))


@pytest.fixture(scope="session")
def differential_folder(request: pytest.FixtureRequest) -> Path | None:
    """A folder of messages that are read by python-hl7 too, where one was named."""
    found: Path | None = request.config.getoption("--differential-folder")
    return found


@pytest.fixture
def canary_messages(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many messages are full of canaries; more of them may take longer."""
    count = int(request.config.getoption("--canary-messages"))
    monkeypatch.setattr("reactor_tests.TEST_MAX_S", 120.0 + 0.5 * count)
    return count


@pytest.fixture
def black_holes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many pairs of runs; more of them may take longer."""
    count = int(request.config.getoption("--black-holes"))
    monkeypatch.setattr("reactor_tests.TEST_MAX_S", 120.0 * count)
    return count


@pytest.fixture
def charges(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many charges are posted; more of them may take longer."""
    count = int(request.config.getoption("--charges"))
    monkeypatch.setattr("reactor_tests.TEST_MAX_S", 120.0 + 0.5 * count)
    return count


@pytest.fixture
def tamperings(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How often a journal is tampered with; more often may take longer."""
    count = int(request.config.getoption("--tamperings"))
    monkeypatch.setattr("reactor_tests.TEST_MAX_S", 120.0 + count)
    return count


@pytest.fixture
def flips(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many bytes of a file of evidence are flipped; more of them may take longer."""
    count = int(request.config.getoption("--flips"))
    monkeypatch.setattr("reactor_tests.TEST_MAX_S", 120.0 + count)
    return count


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL that is started when the first test asks for it."""
    server = PostgresServer()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(autouse=True)
def crossing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written by a thread in tests is what another process would have had: all of it crosses to the
    writer and back as it does there."""
    put = InThread.put

    def committer(database: Any, ownership: Any, seconds: Any, tell: Tell, closing: Any) -> Committer:
        there: Tell = lambda word, *what: tell(*crossed((word, *what)))  # noqa: E731
        return Committer(database, ownership, seconds, there, closing)

    monkeypatch.setattr(places, "Committer", committer)
    monkeypatch.setattr(InThread, "put", lambda place, batch: put(place, crossed(batch)))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What is marked ``both_databases`` runs on both, but for what needs no journal or has one of its own."""
    if "odd_round" in metafunc.fixturenames:
        rounds = -(-int(metafunc.config.getoption("--odd-messages")) // 250)
        metafunc.parametrize("odd_round", range(max(1, rounds)))
    marks = {mark.name for mark in metafunc.definition.iter_markers()}
    if "both_in_drills" in marks and metafunc.config.getoption("--kills") > KILLS_OF_A_TEST:
        marks.add("both_databases")
    if "both_databases" in marks and "only_sqlite" not in marks and "tmp_path" in metafunc.fixturenames:
        metafunc.parametrize("journal_database", KINDS, indirect=True)


@pytest.fixture(autouse=True)
def journal_database(request: pytest.FixtureRequest) -> Iterator[str]:
    """The kind of database that this run of a test is on.

    It is used by every test, since pytest forgets a fixture that is only added to a test's names.
    """
    kind = getattr(request, "param", KINDS[0])
    if kind == KINDS[0]:
        yield kind
        return
    folder: Path = request.getfixturevalue("tmp_path")
    request.getfixturevalue("monkeypatch").setenv("BRIDGE_STATE", str(folder))
    with on_postgresql(request.getfixturevalue("postgres_server")):
        yield kind
