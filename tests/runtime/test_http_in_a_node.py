"""Bodies that are posted become delivered calls, each once, and only who is known may post."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from certificates import Made, make
from file_hospital import some, whole
from nodes import Hospital, entries
from reactor_tests import in_reactor, until
from tls_site import TlsHospital

from bridge.destinations.in_loop import in_loop
from bridge.errors import SecretUnavailable
from bridge.runtime.certificates import Certificates
from bridge.tls.client import Tls, client_context
from bridge.units import SecretRef

TOKEN = "an-invented-token"


@asynccontextmanager
async def http_hospital(folder: Path, rules: str = "max_size: 100KiB") -> AsyncIterator[Hospital]:
    """A hospital whose channel is posted to."""
    made = Hospital(folder)
    made.secrets = lambda _reference: TOKEN

    def change(text: str) -> str:
        listen = 'listen: "tcp:0:interface=127.0.0.1", path: /adt, tokens: {lab: secret://env/LAB}'
        return re.sub(r"  mllp: .*\n", f"  http_in: {{{listen}, {rules}}}\n", text)

    await made.open(change)
    try:
        await made.start()
        yield made
    finally:
        await made.close()


async def post(
    made: Hospital, body: Any, *, path: str = "/adt", method: str = "POST", token: str = TOKEN, **headers: str
) -> tuple[int, dict[str, Any]]:
    """One request; its status and what it says."""
    assert made.node is not None
    url = f"http://127.0.0.1:{made.node.addresses()['ehr-adt']}{path}"
    sent = {
        "Authorization": f"Bearer {token}",
        **{name.replace("_", "-"): text for name, text in headers.items()},
    }

    async def call() -> tuple[int, dict[str, Any]]:
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, url, data=body, headers=sent) as response,
        ):
            return response.status, await response.json(content_type=None)

    return await in_loop(call())


@in_reactor
async def test_an_exchanged_token_counts_from_the_next_look_and_one_that_is_away_leaves_the_old(
    tmp_path: Path,
) -> None:
    async with http_hospital(tmp_path) as made:
        made_of = {"token": TOKEN}

        def secrets(reference: SecretRef) -> str:
            if not made_of:
                raise SecretUnavailable(f"{reference}: not set")
            return made_of["token"]

        await made.stop()
        made.secrets = secrets
        look = Certificates((await made.start()).parts)
        assert (await post(made, whole(some(1))))[0] == 202
        made_of["token"] = "another"
        assert look.look() == []
        assert (await post(made, whole(some(2))))[0] == 401
        made_of.clear()
        [kept] = look.look()
        assert (kept.name, kept.why_not) == (
            "ehr-adt",
            "its tokens are those of before, secret://env/LAB: not set",
        )
        assert (await post(made, whole(some(2)), token="another"))[0] == 202


@in_reactor
async def test_a_body_is_taken_once_under_its_key(tmp_path: Path) -> None:
    async with http_hospital(tmp_path) as made:
        body = whole(some(3))
        first = await post(made, body, Idempotency_Key="a-1")
        assert first[0] == 202
        assert first[1]["messages"] == 3
        assert await post(made, body, Idempotency_Key="a-1") == first
        assert entries(await made.settled()) == {"delivered": 3}
        await made.stop()
        await made.start()
        assert await post(made, body, Idempotency_Key="a-1") == first
        status, told = await post(made, whole(some(1, first=9)), Idempotency_Key="a-1")
        assert (status, told["type"]) == (422, "urn:bridge:problem:idempotency-key-reused")


REFUSED = [
    ({"token": "another"}, 401, "unknown-sender"),
    ({"token": ""}, 401, "unknown-sender"),
    ({"path": "/other"}, 404, "no-such-path"),
    ({"method": "PUT"}, 405, "method"),
    ({"body": b"x" * 200_000}, 413, "too-large"),
    ({"body": b""}, 422, "empty"),
    ({"body": b"no message"}, 422, "no-message"),
    ({"Idempotency_Key": "with space"}, 400, "idempotency-key"),
]


@pytest.mark.parametrize(("wrong", "status", "reason"), REFUSED, ids=[row[2] for row in REFUSED])
@in_reactor
async def test_what_is_not_taken_is_told_why(
    tmp_path: Path, wrong: dict[str, Any], status: int, reason: str
) -> None:
    async with http_hospital(tmp_path) as made:
        found = await post(made, **{"body": whole(some(1)), **wrong})
        assert found[0] == status
        assert found[1]["type"] in (f"urn:bridge:problem:{reason}", "urn:bridge:problem:bytes-before-message")
        assert found[1]["status"] == status


async def sent_raw(made: Hospital, head: bytes) -> bytes:
    """What a connection hears that sends these bytes and then waits."""
    assert made.node is not None
    port = made.node.addresses()["ehr-adt"]

    async def call() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(head)
            return await asyncio.wait_for(reader.readuntil(b"}"), 20)
        finally:
            writer.close()

    return await in_loop(call())


BEFORE_ITS_BODY = {
    "nobody is known": (b"Authorization: Bearer x\r\nContent-Length: 5000\r\n", b"401 Unauthorized"),
    "a token that is no text": (
        b"Authorization: Bearer \xff\xc3\r\nContent-Length: 9\r\n",
        b"401 Unauthorized",
    ),
    "too much": (b"%s\r\nContent-Length: 99999999999999999999\r\n", b"413 Request Entity Too Large"),
    "asked before": (b"%s\r\nExpect: 100-continue\r\nContent-Length: 9999999\r\n", b"413 Request"),
}


@pytest.mark.parametrize("what", BEFORE_ITS_BODY)
@in_reactor
async def test_who_is_refused_hears_it_before_sending_its_body(tmp_path: Path, what: str) -> None:
    lines, status = BEFORE_ITS_BODY[what]
    head = b"POST /adt HTTP/1.1\r\nHost: bridge\r\n" + lines.replace(
        b"%s", f"Authorization: Bearer {TOKEN}".encode()
    )
    async with http_hospital(tmp_path) as made:
        said = await sent_raw(made, head + b"\r\n")
        assert said.startswith(b"HTTP/1.1 " + status)
        assert b"connection: close" in said.lower()
        assert (await post(made, whole(some(1))))[0] == 202, "and others are heard"


@in_reactor
async def test_a_node_ends_while_senders_are_connected_and_sends_them_away(tmp_path: Path) -> None:
    async with http_hospital(tmp_path) as made:
        assert made.node is not None
        port = made.node.addresses()["ehr-adt"]
        reader, writer = await in_loop(asyncio.open_connection("127.0.0.1", port))
        head = f"POST /adt HTTP/1.1\r\nHost: b\r\nAuthorization: Bearer {TOKEN}\r\n"
        try:
            writer.write(f"{head}Content-Length: 0\r\n\r\n".encode())
            assert b"422" in await in_loop(reader.readuntil(b"}"))
            await made.stop()
            assert await in_loop(asyncio.wait_for(reader.read(), 20)) == b""
        finally:
            writer.close()


@in_reactor
async def test_a_token_is_compared_byte_by_byte(tmp_path: Path) -> None:
    async with http_hospital(tmp_path) as made:
        await made.stop()
        made.secrets = lambda _reference: "schlüssel"
        await made.start()
        head = b"POST /adt HTTP/1.1\r\nHost: b\r\nContent-Length: 0\r\nAuthorization: Bearer "
        known = await sent_raw(made, head + "schlüssel".encode() + b"\r\n\r\n")
        assert known.startswith(b"HTTP/1.1 422 Unprocessable Entity\r\n"), "it is known, and its body empty"
        assert (await sent_raw(made, head + b"schl\xfcssel\r\n\r\n")).startswith(b"HTTP/1.1 401 ")


@in_reactor
async def test_a_key_that_is_no_text_is_refused_as_one(tmp_path: Path) -> None:
    head = f"POST /adt HTTP/1.1\r\nHost: b\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 3\r\n".encode()
    async with http_hospital(tmp_path) as made:
        said = await sent_raw(made, head + b"Idempotency-Key: \xff\xfe\r\n\r\nabc")
        assert said.startswith(b"HTTP/1.1 400 ")
        assert b"urn:bridge:problem:idempotency-key" in said


@in_reactor
async def test_the_same_body_without_a_key_is_told_to_be_there(tmp_path: Path) -> None:
    async with http_hospital(tmp_path) as made:
        body = whole(some(1))
        assert (await post(made, body))[0] == 202
        status, told = await post(made, body)
        assert (status, told["type"]) == (409, "urn:bridge:problem:sent-before")
        assert entries(await made.settled()) == {"delivered": 1}


@in_reactor
async def test_over_mutual_tls_a_certificate_says_who_posts_and_others_are_refused_and_counted(
    tmp_path: Path,
) -> None:
    made = TlsHospital(tmp_path)

    def change(text: str) -> str:
        tls = (
            "tls: {certificate: tls/bridge.pem, key: secret://file/bridge.key, client_ca: tls/ca.pem, "
            'peers: ["*.ward.example"], handshake: 2s}'
        )
        listen = 'listen: "tcp:0:interface=127.0.0.1", path: /adt'
        return re.sub(r"  mllp: .*\n", f"  http_in: {{{listen}, {tls}}}\n", text)

    await made.open(change)
    try:
        await made.start()
        strangers = make(made.pki, "strangers")
        office = make(made.pki, "office", made.ca, names=("pc.office.example",), purpose="client")
        for shown in (None, made.peer("lab", strangers), office):
            with pytest.raises(aiohttp.ClientError):
                await in_loop(_post_tls(made, shown))
        assert (await made.settled()).received == {}
        assert made.node is not None
        metrics, port = made.node.metrics, made.node.addresses()["ehr-adt"]

        async def counted(reason: str) -> None:
            labels = {"channel": "ehr-adt", "reason": reason}
            value = partial(metrics.registry.get_sample_value, "bridge_tls_refused_total", labels)
            await until(lambda: value() == 1, reason)

        for reason in ("tls-no-certificate", "tls-unknown-ca", "tls-peer-not-allowed"):
            await counted(reason)
        for said, reason in ((b"POST /adt HTTP/1.1\r\n", "tls-plain-text"), (b"", "tls-handshake-timeout")):
            assert await in_loop(_heard(port, said)) == b""
            await counted(reason)
        assert await in_loop(_post_tls(made, made.peer("lab"))) == 202
        assert entries(await made.settled()) == {"delivered": 1}
    finally:
        await made.close()


async def _heard(port: int, said: bytes) -> bytes:
    """What a connection hears that says only this, until it is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(said)
        return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


async def _post_tls(made: TlsHospital, shown: Made | None) -> int:
    assert made.node is not None
    named = {} if shown is None else {"certificate": shown.path, "key": shown.key_path}
    context = client_context(Tls(ca=made.ca.path, **named))
    url = f"https://localhost:{made.node.addresses()['ehr-adt']}/adt"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=whole(some(1)), ssl=context) as response,
    ):
        return response.status
