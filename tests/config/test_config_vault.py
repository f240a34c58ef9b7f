"""Secrets of a Vault: given at once where they are known, and no long wait for one that hangs."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.config.secrets import Secrets, unavailable
from bridge.config.vault import ANEW_AGAIN_S, ASKED_AGAIN_S, KEPT_S, LAST_KNOWN_S, WAIT_S, Vault, fetch
from bridge.errors import SecretUnavailable
from bridge.located import Place, Problem
from bridge.units import SecretRef

REFERENCE = SecretRef.parse("secret://vault/secret/bridge/rcm#password")
TOKEN = "s.token"


class FakeVault:
    """Answers as KV version 2 of a Vault does, from a table."""

    def __init__(self) -> None:
        self.secrets: dict[str, Any] = {"/v1/secret/data/bridge/rcm": {"password": "horse", "number": 7}}
        self.asked: list[tuple[str, str]] = []
        self.status = 200
        self.body: bytes | None = None
        self.dribbles = 0
        self.open = threading.Event()
        self.open.set()
        vault = self

        class Answers(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                vault.asked.append((self.path, self.headers["X-Vault-Token"]))
                vault.open.wait(60)
                found = vault.secrets.get(self.path)
                status = vault.status if found is not None else 404
                body = json.dumps({"data": {"data": found, "metadata": {"version": 3}}}).encode()
                with suppress(OSError):  # whoever asked may have given up
                    self.send_response(status)
                    self.end_headers()
                    for piece in [body if vault.body is None else vault.body, *[b" "] * vault.dribbles]:
                        self.wfile.write(piece)
                        time.sleep(0.02 if vault.dribbles else 0)

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self.environment = {
            "VAULT_ADDR": f"http://127.0.0.1:{self._server.server_port}",
            "VAULT_TOKEN": TOKEN,
        }
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.open.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def vault() -> Iterator[FakeVault]:
    made = FakeVault()
    yield made
    made.close()


def asked(vault: FakeVault, count: int) -> None:
    give_up_s = time.monotonic() + 30
    while len(vault.asked) < count:
        assert time.monotonic() < give_up_s, vault.asked
        time.sleep(0.005)


def becomes(read: Callable[[], str], value: str) -> None:
    give_up_s = time.monotonic() + 30
    while read() != value:
        assert time.monotonic() < give_up_s
        time.sleep(0.005)


def test_a_secret_is_read_with_the_token_and_kept_for_a_while(vault: FakeVault) -> None:
    now_s = 100.0
    secrets = Secrets(Path("none"), {}, Vault(vault.environment, lambda: now_s))
    for _ in range(3):
        assert secrets.resolve(REFERENCE) == "horse"
    assert vault.asked == [("/v1/secret/data/bridge/rcm", TOKEN)]
    vault.secrets["/v1/secret/data/bridge/rcm"] = {"password": "staple"}
    now_s += KEPT_S
    assert secrets.resolve(REFERENCE) == "horse", "what is known is given at once"
    becomes(lambda: secrets.resolve(REFERENCE), "staple")
    assert len(vault.asked) == 2


def test_a_vault_that_hangs_is_waited_for_once(vault: FakeVault, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    kept = Vault(vault.environment, lambda: now_s)
    assert kept.read(REFERENCE) == "horse"
    vault.open.clear()
    for _ in range(5):
        now_s += KEPT_S
        assert kept.read(REFERENCE) == "horse"
    asked(vault, 6)
    now_s += LAST_KNOWN_S
    with monkeypatch.context() as hurried:
        hurried.setattr("bridge.config.vault.WAIT_S", 0.05)
        with pytest.raises(SecretUnavailable, match="is asked again"):
            kept.read(REFERENCE)
    now_s += ASKED_AGAIN_S
    with pytest.raises(SecretUnavailable, match="is asked again"):
        kept.read(REFERENCE)  # now beside
    vault.open.set()
    now_s += ASKED_AGAIN_S

    def read() -> str:
        try:
            return kept.read(REFERENCE)
        except SecretUnavailable:
            return ""

    becomes(read, "horse")


def test_the_main_thread_waits_once_for_all_secrets_of_a_vault_that_hangs(
    vault: FakeVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 100.0
    kept = Vault(vault.environment, lambda: now_s)
    references = [SecretRef.parse(f"secret://vault/secret/bridge/{name}#password") for name in ("rcm", "lab")]
    waited: list[float | None] = []

    class Asking(threading.Thread):
        def join(self, timeout: float | None = None) -> None:
            waited.append(timeout)

    def read() -> None:
        for reference in references:
            with pytest.raises(SecretUnavailable, match="is asked again"):
                kept.read(reference)

    vault.open.clear()
    of_threads = {"current_thread": threading.current_thread, "main_thread": threading.main_thread}
    monkeypatch.setattr("bridge.config.vault.threading", SimpleNamespace(Thread=Asking, **of_threads))
    for _ in range(3):
        read()
        now_s += KEPT_S
    assert waited == [WAIT_S]
    with ThreadPoolExecutor(1) as thread:
        thread.submit(read).result()
    assert waited == [WAIT_S] * 3, "another thread holds up nobody, and may wait for each"
    vault.open.set()


@pytest.mark.parametrize("status", [200, 503], ids=["unused", "the Vault was away before"])
def test_a_secret_that_is_too_old_is_asked_for_and_waited_for(vault: FakeVault, status: int) -> None:
    now_s = 100.0
    kept = Vault(vault.environment, lambda: now_s)
    assert kept.read(REFERENCE) == "horse"
    vault.status = status
    now_s += LAST_KNOWN_S
    vault.secrets["/v1/secret/data/bridge/rcm"] = {"password": "staple"}
    if status != 200:
        with pytest.raises(SecretUnavailable, match="says 503"):
            kept.read(REFERENCE)
        vault.status = 200
        now_s += ASKED_AGAIN_S
    assert kept.read(REFERENCE) == "staple"


def test_who_asks_anew_is_given_what_the_vault_has_now(vault: FakeVault) -> None:
    now_s = 100.0
    secrets = Secrets(Path("none"), {}, Vault(vault.environment, lambda: now_s))
    anew = replace(REFERENCE, anew=True)
    assert secrets.resolve(REFERENCE) == "horse"
    vault.secrets["/v1/secret/data/bridge/rcm"] = {"password": "staple"}
    now_s += ANEW_AGAIN_S
    assert secrets.resolve(anew) == "staple"
    assert secrets.resolve(REFERENCE) == "staple"
    for _ in range(50):
        assert secrets.resolve(anew) == "staple"
    assert len(vault.asked) == 2, "a peer that refuses everything is no reason to ask the Vault all the time"
    vault.status = 503
    now_s += ANEW_AGAIN_S
    assert secrets.resolve(anew) == "staple", "what is known counts where nothing else can be had"
    assert len(vault.asked) == 3


def test_who_asks_anew_waits_for_whoever_asks_just_now(vault: FakeVault) -> None:
    now_s = 100.0
    kept = Vault(vault.environment, lambda: now_s)
    assert kept.read(REFERENCE) == "horse"
    vault.open.clear()
    vault.secrets["/v1/secret/data/bridge/rcm"] = {"password": "staple"}
    now_s += KEPT_S
    assert kept.read(REFERENCE) == "horse"
    asked(vault, 2)
    threading.Timer(0.05, vault.open.set).start()
    assert kept.read(replace(REFERENCE, anew=True)) == "staple"
    assert len(vault.asked) == 2


def test_a_reload_takes_what_the_vault_has_now(vault: FakeVault) -> None:
    now_s = 100.0
    secrets = Secrets(Path("none"), {}, Vault(vault.environment, lambda: now_s))
    named = [(REFERENCE, Place("channels/apis/rcm.yaml", 3, 1))]
    assert unavailable(named, secrets) == []
    vault.secrets["/v1/secret/data/bridge/rcm"] = {"password": "staple"}
    now_s += ANEW_AGAIN_S
    assert unavailable(named, secrets) == []
    assert secrets.resolve(REFERENCE) == "staple"


def test_many_secrets_are_asked_for_before_the_first_is_answered(vault: FakeVault) -> None:
    names = [f"rcm{number}" for number in range(8)]
    vault.secrets = {f"/v1/secret/data/bridge/{name}": {"password": "horse"} for name in names}
    secrets = Secrets(Path("none"), {}, Vault(vault.environment, time.monotonic))
    place = Place("channels/apis/rcm.yaml", 3, 1)
    named = [(SecretRef.parse(f"secret://vault/secret/bridge/{name}#password"), place) for name in names]
    vault.open.clear()
    found: list[list[Problem]] = []
    asking = threading.Thread(target=lambda: found.append(unavailable(named, secrets)))
    asking.start()
    asked(vault, len(names))
    vault.open.set()
    asking.join()
    assert found == [[]]


def test_a_vault_that_dribbles_is_given_up(vault: FakeVault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.config.vault.WAIT_S", 0.2)
    vault.dribbles = 3000
    with pytest.raises(SecretUnavailable, match=r"has not answered within 0\.2 s"):
        fetch(REFERENCE, vault.environment, time.monotonic)
    with pytest.raises(SecretUnavailable, match=r"has not answered within 0\.2 s"):
        Vault(vault.environment, time.monotonic).read(REFERENCE)


def test_a_token_is_taken_from_its_file_each_time(vault: FakeVault, tmp_path: Path) -> None:
    environment = {"VAULT_ADDR": vault.environment["VAULT_ADDR"], "VAULT_TOKEN_FILE": str(tmp_path / "token")}
    with pytest.raises(SecretUnavailable, match="VAULT_TOKEN_FILE cannot be read"):
        fetch(REFERENCE, environment, time.monotonic)
    for token in ("first", "second"):
        (tmp_path / "token").write_text(token + "\n")
        assert fetch(REFERENCE, environment, time.monotonic) == "horse"
    assert [each for _, each in vault.asked] == ["first", "second"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"VAULT_ADDR": ""}, "VAULT_ADDR is not set"),
        ({"VAULT_ADDR": "vault.example:8200"}, "VAULT_ADDR is not set"),
        ({"VAULT_ADDR": "http://vault.example:8200"}, "must be https"),
        ({"VAULT_ADDR": "http://127.0.0.1:1"}, "was not reached: ConnectionRefusedError"),
        ({"VAULT_ADDR": "https://127.0.0.1:1"}, "was not reached: ConnectionRefusedError"),
        ({"VAULT_ADDR": "https://127.0.0.1:1", "VAULT_CACERT": "/none"}, "not reached: FileNotFoundError"),
        ({"VAULT_ADDR": "http://127.0.0.1:x"}, "was not reached: ValueError"),
        ({"VAULT_TOKEN": ""}, "no token"),
        ({"VAULT_TOKEN": "a\r\nX-Other: b"}, "no token"),
    ],
)
def test_what_is_wrong_with_the_settings_is_said(
    vault: FakeVault, change: dict[str, str], words: str
) -> None:
    with pytest.raises(SecretUnavailable, match=words) as raised:
        fetch(REFERENCE, {**vault.environment, **change}, time.monotonic)
    assert TOKEN not in str(raised.value)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (403, None, "says 403: the token has ended"),
        (503, None, "says 503: it is sealed"),
        (500, None, "says 500: look at its log"),
        (307, None, "says 307"),
        (200, b"", "no text password"),
        (200, b"[" * 100_000, "no text password"),
        (200, b'{"data": {"password": "horse"}}', "no text password"),
        (200, b'{"data": {"data": {"password": {"a": 1}}}}', "no text password"),
        (200, b'{"data": {"data": {"password": ""}}}', "no text password"),
        (200, b" " * (2 * 1024 * 1024), "no text password"),
    ],
)
def test_an_answer_that_is_none_is_said(
    vault: FakeVault, status: int, body: bytes | None, words: str
) -> None:
    vault.status, vault.body = status, body
    with pytest.raises(SecretUnavailable, match=words) as raised:
        fetch(REFERENCE, vault.environment, time.monotonic)
    assert "horse" not in str(raised.value)


def test_there_is_nothing_at_another_path_or_under_another_field(vault: FakeVault) -> None:
    for reference, words in (
        ("secret://vault/secret/bridge/other#password", "says 404: there is nothing"),
        ("secret://vault/secret/bridge/rcm#other", "no text other"),
        ("secret://vault/secret/bridge/rcm#number", "no text number"),
    ):
        with pytest.raises(SecretUnavailable, match=words):
            fetch(SecretRef.parse(reference), vault.environment, time.monotonic)


@pytest.mark.parametrize(
    "text",
    [
        "secret://vault/rcm#password",
        "secret://vault/secret/rcm",
        "secret://vault/secret/../rcm#password",
        "secret://vault/secret//rcm#password",
        "secret://vault/secret/rcm?list=true#password",
        "secret://vault/secret/rcm#",
    ],
)
def test_a_reference_names_a_mount_a_path_and_a_field(text: str) -> None:
    with pytest.raises(ValueError, match="expected a reference"):
        SecretRef.parse(text)
