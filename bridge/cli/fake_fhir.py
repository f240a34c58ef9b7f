"""A FHIR R4 server that is not there: for tests, and to try a site with.

It keeps resources with versions in memory, creates and updates by identifier (conditional create, update), in
a version (If-Match), and in transactions, all or nothing, in which references by search and to other entries
come right. It checks resources as the bridge does, and none may refer to what is not there.
``python -m bridge.cli.fake_fhir --help`` runs it alone.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from signal import SIGINT, SIGTERM
from typing import Any, Final, Literal
from urllib.parse import unquote, urlsplit

import click
from aiohttp import web

from bridge.cli.fake_fhir_store import Refused, Resource, Store
from bridge.fhir.check import RESOURCES, faults
from bridge.fhir.digits import read_json, write_json

STOP_WAIT_MAX_S: Final = 0.2
FHIR_JSON: Final = "application/fhir+json"


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to break, ``times`` times, for calls with ``text`` in their target or body.

    ``status`` changes nothing and answers with an OperationOutcome of ``code`` and ``expression``; ``lose``
    does all and closes the connection without an answer; ``cut`` closes it and does nothing; ``delay`` waits
    ``seconds``; ``hang`` never answers; ``other`` lets somebody else change all just before; ``says`` changes
    nothing and answers ``body``; ``entries`` refuses of a transaction the entries with ``text``, with
    ``status`` and ``code``, and does the others.
    """

    kind: Literal["status", "lose", "cut", "delay", "hang", "other", "says", "entries"]
    status: int = 503
    code: str = "transient"
    expression: str = ""
    retry_after: str = ""
    seconds: float = 0.0
    text: str = ""
    times: int = 1
    body: bytes = b""
    content_type: str = FHIR_JSON


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call as it arrived."""

    method: str
    target: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class FakeFhir:
    """The server. ``attempts`` holds all calls in the order they came, ``store`` what it keeps."""

    def __init__(self, *, merges: bool = True, transactions: bool = True) -> None:
        """``merges`` and ``transactions`` say what it can do, and what it says that it can."""
        self.attempts: list[Attempt] = []
        self.store = Store()
        self.merges, self.transactions = merges, transactions
        self._faults: list[Fault] = []
        self._stopping = asyncio.Event()
        self._runner: web.ServerRunner | None = None

    async def start(
        self, *, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
    ) -> str:
        """Listen, on a free port unless one is given. The base URL, without a slash at its end."""
        server = web.Server(self._answer, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=STOP_WAIT_MAX_S)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port, ssl_context=tls).start()
        return f"{'https' if tls else 'http'}://{host}:{self._runner.addresses[0][1]}/fhir"

    async def stop(self) -> None:
        """Close all connections, also those that hang."""
        self._stopping.set()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def plant(self, *faults: Fault) -> None:
        """Break the calls to come, in this order where several faults fit one call."""
        self._faults.extend(faults)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        target = request.raw_path.removeprefix("/fhir") or "/"
        attempt = Attempt(request.method, target, dict(request.headers), body)
        self.attempts.append(attempt)
        fault = self._fault(attempt)
        match fault:
            case Fault(kind="status"):
                extra = {"Retry-After": fault.retry_after} if fault.retry_after else {}
                return _outcome(fault.status, fault.code, fault.expression, extra)
            case Fault(kind="says"):
                return web.Response(status=fault.status, body=fault.body, content_type=fault.content_type)
            case Fault(kind="entries"):
                return _json(200, self._batch(_read(body), fault))
            case Fault(kind="delay"):
                await self._wait(fault.seconds)
            case Fault(kind="hang"):
                await self._wait(None)
        if fault is not None and fault.kind in ("cut", "hang"):
            return self._cut(request)
        try:
            response = self._done(attempt, others=fault is not None and fault.kind == "other")
        except Refused as refused:
            response = _outcome(refused.status, refused.code, refused.expression)
        return self._cut(request) if fault is not None and fault.kind == "lose" else response

    def _cut(self, request: web.BaseRequest) -> web.Response:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=499)

    async def _wait(self, seconds: float | None) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    def _fault(self, attempt: Attempt) -> Fault | None:
        for at, fault in enumerate(self._faults):
            text = fault.text.encode()
            if text in attempt.target.encode() or text in attempt.body:
                if fault.kind == "other" and b"ifMatch" not in attempt.body and attempt.method == "GET":
                    continue
                left = replace(fault, times=fault.times - 1)
                self._faults[at : at + 1] = [left] if left.times else []
                return fault
        return None

    def _done(self, attempt: Attempt, *, others: bool = False) -> web.Response:
        parts = urlsplit(attempt.target)
        path, query = unquote(parts.path).strip("/"), parts.query
        if attempt.method == "GET":
            return self._read(path, query)
        resource = _read(attempt.body) if attempt.body else {}
        if others:
            self._change_all()
        before = dict(self.store.kept), self.store.writes
        try:
            if not path:
                return _json(200, self._transaction(resource))
            if path == "Patient/$merge":
                return _json(200, self._merge(resource))
            headers = {name.lower(): value for name, value in attempt.headers.items()}
            status, _, name = self._one(
                attempt.method,
                f"{path}?{query}" if query else path,
                resource,
                headers.get("if-none-exist"),
                headers.get("if-match"),
            )
            return web.Response(status=status, headers={"Location": name})
        except Refused:
            self.store.kept, self.store.writes = before
            raise

    def _change_all(self) -> None:
        """Somebody else updates everything, and changes nothing."""
        for (kind, name), (_, resource) in list(self.store.kept.items()):
            self.store.put(kind, name, resource)
            self.store.writes -= 1

    def _read(self, path: str, query: str) -> web.Response:
        if path == "metadata":
            return _json(200, self.capabilities())
        kind, _, name = path.partition("/")
        if kind not in RESOURCES:
            raise Refused(404, "not-supported")
        if name:
            if (kind, name) not in self.store.kept:
                raise Refused(404, "not-found")
            return _json(200, self.store.kept[kind, name][1])
        found = [{"resource": each, "search": {"mode": "match"}} for each in self.store.find(kind, query)]
        bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(found)}
        return _json(200, {**bundle, **({"entry": found} if found else {})})

    def _transaction(self, bundle: Resource) -> Resource:
        if not self.transactions:
            raise Refused(405, "not-supported")
        if bundle.get("resourceType") != "Bundle" or bundle.get("type") != "transaction":
            raise Refused(400, "invalid")
        entries = bundle.get("entry", [])
        urls = [
            (each["request"]["method"], each["request"]["url"], each["request"].get("ifNoneExist"))
            for each in entries
        ]
        if len(set(urls)) < len(urls):
            raise Refused(400, "invalid")  # one resource twice
        made: list[tuple[int, str, str]] = []
        # What makes something comes first, so that the rest can be told its id (http.html §3.1.0.11.2).
        named: dict[str, str] = {}
        for each in entries:
            request = each["request"]
            resource = each.get("resource", {})
            status, kind, name = self._one(
                request["method"],
                request["url"],
                resource,
                request.get("ifNoneExist"),
                request.get("ifMatch"),
                later=True,
            )
            made.append((status, kind, name))
            if "fullUrl" in each:
                named[each["fullUrl"]] = name
        for each, (status, _, name) in zip(entries, made, strict=True):
            ignored = each["request"]["method"] == "POST" and status == 200
            if each["request"]["method"] != "DELETE" and not ignored:
                kind, _, number = name.partition("/")
                version, kept = self.store.kept[kind, number]
                self.store.kept[kind, number] = version, self._resolved(kept, named)
        answers = [{"response": {"status": f"{status} said", "location": name}} for status, _, name in made]
        return {"resourceType": "Bundle", "type": "transaction-response", "entry": answers}

    def _batch(self, bundle: Resource, fault: Fault) -> Resource:
        """A transaction of which some entries are refused, as servers without transactions do it."""
        refused = [fault.text.encode() in write_json(each) for each in bundle["entry"]]
        taken = [each for each, no in zip(bundle["entry"], refused, strict=True) if not no]
        done = iter(self._transaction({**bundle, "entry": taken})["entry"])
        said = {"status": str(fault.status), "outcome": outcome_of(fault.code, fault.expression)}
        answers = [{"response": said} if no else next(done) for no in refused]
        return {"resourceType": "Bundle", "type": "batch-response", "entry": answers}

    def _resolved(self, resource: Any, named: Mapping[str, str]) -> Any:
        if isinstance(resource, list):
            return [self._resolved(each, named) for each in resource]
        if not isinstance(resource, dict):
            return resource
        told = {name: self._resolved(value, named) for name, value in resource.items()}
        if isinstance(reference := told.get("reference"), str):
            told["reference"] = self._literal(reference, named)
        return told

    def _literal(self, reference: str, named: Mapping[str, str]) -> str:
        if reference in named:
            return named[reference]
        kind, search, query = reference.partition("?")
        if search:
            found = self.store.find(kind, query)
            if len(found) != 1:
                raise Refused(404 if not found else 412, "not-found" if not found else "multiple-matches")
            return f"{kind}/{found[0]['id']}"
        kind, _, name = reference.partition("/")
        if (kind, name) not in self.store.kept:
            raise Refused(400, "not-found")
        return reference

    def _one(
        self,
        method: str,
        url: str,
        resource: Resource,
        none_exist: str | None,
        match: str | None,
        *,
        later: bool = False,
    ) -> tuple[int, str, str]:
        """One interaction: its status, the type, and the reference to what it is about."""
        path, _, query = url.partition("?")
        kind, _, name = path.partition("/")
        if kind not in RESOURCES:
            raise Refused(404, "not-supported")
        if method == "DELETE":
            return self._deleted(kind, name, query)
        if resource.get("resourceType") != kind:
            raise Refused(400, "invalid", "resourceType")
        for fault in faults(resource):
            raise Refused(422, "required" if fault.code == "F203" else "value", fault.place)
        if not later:
            resource = self._resolved(resource, {})
        if method == "POST":
            found = self.store.find(kind, none_exist) if none_exist else []
            self._at_most_one(found)
            if found:
                return 200, kind, f"{kind}/{found[0]['id']}"
            status, name = self.store.put(kind, None, resource)
            return status, kind, f"{kind}/{name}"
        if method != "PUT":
            raise Refused(405, "not-supported")
        if query:
            found = self.store.find(kind, query)
            self._at_most_one(found)
            name = found[0]["id"] if found else ""
        if match is not None:
            version = self.store.kept.get((kind, name), (0, {}))[0]
            if match != f'W/"{version}"':
                raise Refused(412, "conflict")
        status, name = self.store.put(kind, name or None, resource)
        return status, kind, f"{kind}/{name}"

    def _deleted(self, kind: str, name: str, query: str) -> tuple[int, str, str]:
        if query:
            found = self.store.find(kind, query)
            self._at_most_one(found)
            name = found[0]["id"] if found else ""
        if (kind, name) in self.store.kept:
            self.store.delete(kind, name)
        return 204, kind, f"{kind}/{name}"

    def _at_most_one(self, found: list[Resource]) -> None:
        if len(found) > 1:
            raise Refused(412, "multiple-matches")

    def _merge(self, parameters: Resource) -> Resource:
        if not self.merges:
            raise Refused(404, "not-supported")
        told = {each["name"]: each.get("valueIdentifier", {}) for each in parameters.get("parameter", [])}
        both = []
        for name in ("source-patient-identifier", "target-patient-identifier"):
            of = told.get(name, {})
            found = self.store.known_as("Patient", of.get("system", ""), of.get("value", ""))
            if len(found) != 1:
                raise Refused(422, "not-found" if not found else "multiple-matches")
            both.append(found[0])
        source, target = both
        link = {"other": {"reference": f"Patient/{target['id']}"}, "type": "replaced-by"}
        self.store.put("Patient", source["id"], {**source, "active": False, "link": [link]})
        back = {"other": {"reference": f"Patient/{source['id']}"}, "type": "replaces"}
        self.store.put("Patient", target["id"], {**target, "link": [*target.get("link", []), back]})
        return {"resourceType": "Parameters"}

    def capabilities(self) -> Resource:
        """What it says that it can: its CapabilityStatement."""
        able: Resource = {
            "conditionalCreate": True,
            "conditionalUpdate": True,
            "conditionalDelete": "single",
            "versioning": "versioned-update",
            "interaction": [{"code": each} for each in ("create", "update", "delete", "read", "search-type")],
            "searchParam": [{"name": "identifier", "type": "token"}],
        }
        merge = {
            "operation": [
                {"name": "merge", "definition": "http://hl7.org/fhir/OperationDefinition/Patient-merge"}
            ]
        }
        resources = [
            {"type": each, **able, **(merge if each == "Patient" and self.merges else {})}
            for each in RESOURCES
        ]
        rest: Resource = {"mode": "server", "resource": resources}
        if self.transactions:
            rest["interaction"] = [{"code": "transaction"}]
        return {
            "resourceType": "CapabilityStatement",
            "status": "active",
            "kind": "instance",
            "fhirVersion": "4.0.1",
            "format": ["json"],
            "rest": [rest],
        }


def _read(body: bytes) -> Resource:
    try:
        read = read_json(body)
    except ValueError:
        raise Refused(400, "structure") from None
    if not isinstance(read, dict):
        raise Refused(400, "structure")
    return read


def _json(status: int, value: Resource) -> web.Response:
    return web.Response(status=status, body=write_json(value), content_type=FHIR_JSON)


def _outcome(
    status: int, code: str, expression: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    body = write_json(outcome_of(code, expression))
    return web.Response(status=status, body=body, content_type=FHIR_JSON, headers=headers)


def outcome_of(code: str, expression: str = "", severity: str = "error") -> Resource:
    """An OperationOutcome of one issue."""
    issue: Resource = {"severity": severity, "code": code, "diagnostics": "KANARIE may stand here"}
    if expression:
        issue["expression"] = [expression]
    return {"resourceType": "OperationOutcome", "issue": [issue]}


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8090, show_default=True, help="Port to listen on; 0 takes a free one.")
def main(*, host: str, port: int) -> None:
    """Run the fake FHIR server until it is told to stop; its first line of output is its base URL."""
    asyncio.run(_serve(FakeFhir(), host, port))


async def _serve(server: FakeFhir, host: str, port: int) -> None:
    asked_to_stop = asyncio.Event()
    for signal in (SIGINT, SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signal, asked_to_stop.set)
    click.echo(await server.start(host=host, port=port))
    await asked_to_stop.wait()
    await server.stop()


if __name__ == "__main__":
    main()
