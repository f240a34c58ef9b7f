"""Rules of the catalogue: who answers for an API, how it is protected, and what routes may send it.

What a policy's own options forbid is the policy's to say (`Component.rules`); here it is told how the routes
of the site use each API.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Mapping as AbstractMapping
from urllib.parse import urlsplit

from bridge.canonical.base import Kind, Tag, fields
from bridge.canonical.classification import tags_within
from bridge.canonical.records import RECORDS
from bridge.canonical.uses import SentField, Use
from bridge.config.templates import path_placeholders, templates_of
from bridge.config.topology import Configured
from bridge.located import Mapping, Node, Place, Problem, Scalar
from bridge.located import Sequence as Listed
from bridge.mapping.plan import Plan

Call = tuple[str, str, str]
"""A record, the operation that it is sent by, and the mapping that makes it."""


def is_here(tree: Mapping) -> bool:
    """Whether an API is on this machine: a folder, or an address of it."""
    url, mllp = _called(tree), tree.get("mllp")
    if isinstance(url, Scalar):
        return is_loopback(url.text)
    servers = [each for way in ("nats", "kafka") if (each := _within(tree, "events", way, "servers"))]
    if servers and isinstance(servers[0], Listed):
        return all(is_loopback(f"//{each.text}") for each in servers[0].items if isinstance(each, Scalar))
    connect = mllp.get("connect") if isinstance(mllp, Mapping) else None
    if isinstance(connect, Scalar):
        found = re.fullmatch(r"tcp:(.+):\d+", connect.text)
        return found is None or is_loopback(f"//{found[1]}")
    return True


def _within(tree: Mapping, *path: str) -> Node | None:
    found: Node | None = tree
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _called(tree: Mapping) -> Node | None:
    """The URL that an API is called at, where it is called by HTTP."""
    return tree.get("base_url") or tree.get("fhir") or _within(tree, "events", "http", "url")


def is_loopback(url: str) -> bool:
    """Whether the host of a URL can only be this machine."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def unprotected(
    tree: Mapping, destination: Configured | None, gone: frozenset[tuple[Place, str]]
) -> Iterator[Problem]:
    """An API outside this machine that is called in the clear, or by nobody in particular."""
    url = _called(tree)
    events = tree.get("events")
    if isinstance(events, Mapping) and url is None and (wrong := tree.get("auth")) is not None:
        if getattr(wrong, "text", "") != "none":
            text = "who the bridge is to a stream stands beside its servers"
            hint = "leave `auth` out; write user and password, token or nkey below `nats:`"
            yield Problem(wrong.place, "C122", text, hint)
        return
    if not isinstance(url, Scalar) or is_loopback(url.text):
        return
    # A destination that refuses such a URL itself has said so already.
    if destination is not None and url.text.lower().startswith("http:"):
        text = "http:// sends data in the clear: it is for loopback only"
        yield Problem(url.place, "C140", text, "write https://")
    auth, tls = tree.get("auth"), tree.get("tls") or _within(tree, "events", "http", "tls")
    if isinstance(tls, Mapping) and tls.get("certificate") is not None:
        return  # the certificate says who the bridge is
    if (auth is None and (tree.place, "auth") not in gone) or (
        isinstance(auth, Scalar) and auth.text == "none"
    ):
        place = url.place if auth is None else auth.place
        text = "`auth: none` is for loopback only"
        hint = "auth: {api_key: {key: secret://env/NAME}}"
        yield Problem(place, "C140", text, hint)


def catalogue_rules(
    tree: Mapping,
    name: Scalar,
    policies: Sequence[Configured],
    calls: AbstractMapping[Call, Place],
    routes: Sequence[Place],
    plans: AbstractMapping[str, Plan],
    *,
    production: bool,
) -> Iterator[Problem]:
    """What is wrong with one API of the catalogue, by itself and by how routes use it."""
    here = is_here(tree)
    owner, layer = tree.get("owner"), tree.get("layer")
    team = owner.get("team") if isinstance(owner, Mapping) else None
    if not here and not getattr(team, "text", ""):
        text = f"nobody is said to answer for {_short(name.text)}"
        yield Problem(name.place, "C180", text, "owner: {team: ..., oncall: ...}")
    if isinstance(layer, Scalar) and layer.text == "experience" and routes:
        text = "experience APIs are called by people's applications, and call process and system APIs"
        yield Problem(layer.place, "C181", text, "send to the process or system API behind it")
    yield from _natural_key(tree)
    sent = tuple(_sent(tree, calls, plans))
    if production and here and _called(tree) is not None and any(one.tag is Tag.PHI for one in sent):
        text = f"patients' data goes to {_short(name.text)} in the clear, as far as this machine reaches"
        yield Problem(name.place, "C188", text, "make sure that nobody else has a login here", "warning")
    for each in policies:
        component = each.component
        if component.rules is None:
            continue
        key = tree.key(component.marker)
        node = tree.get(component.marker)
        visible = sent
        if component.hides is None:
            hiding = [one for one in policies if one.component.hides is not None]
            visible = tuple(
                one
                for one in sent
                if not any(by.component.hides and by.component.hides(by.options, one.field) for by in hiding)
            )
        declared = isinstance(node, Mapping) and bool(node.entries)
        place = name.place if key is None else key.place
        use = Use(name.text, declared, place, tuple(routes), visible, here, production)
        yield from component.rules(each.options, use)


def hidden_fields(policies: Iterable[Configured], names: Iterable[str]) -> frozenset[str]:
    """Those of the fields that a policy lets no receiver see as they are."""
    hiding = [(each.component.hides, each.options) for each in policies if each.component.hides is not None]
    return frozenset(name for name in names if any(hides(options, name) for hides, options in hiding))


def fields_sent(operation: object) -> frozenset[str]:
    """The fields that an operation's options let leave: those listed, and those of its path."""
    listed = set(getattr(operation, "send_only", ()))
    query = getattr(operation, "query", None)
    beside = [each for name in ("params", "headers") for each in getattr(operation, name, {}).values()]
    for template in (getattr(operation, "path", ""), getattr(query, "path", ""), *beside):
        listed.update(re.findall(r"\{(\w+)\}", template or ""))
    return frozenset(listed)


def _natural_key(tree: Mapping) -> Iterator[Problem]:
    """An API that is said to know a repeat by the record's key, and is not told the key."""
    safety = tree.get("repeat_safety")
    if getattr(safety, "text", "") != "natural_key" or tree.get("base_url") is None:
        return
    for name, operation in getattr(tree.get("operations"), "entries", ()):
        if not isinstance(operation, Mapping):
            continue
        path, listed = operation.get("path"), operation.get("send_only")
        told = "{" in getattr(path, "text", "") or any(
            getattr(item, "text", "") == "key" for item in getattr(listed, "items", ())
        )
        if not told:
            text = f"`repeat_safety` is natural_key, and `{_short(name.text)}` sends no key to know it by"
            yield Problem(name.place, "C187", text, "put {key} into its path, or key into send_only")


def _sent(
    tree: Mapping, calls: AbstractMapping[Call, Place], plans: AbstractMapping[str, Plan]
) -> Iterator[SentField]:
    """The fields of each record that routes send here, each tag of a field once."""
    operations = tree.get("operations")
    for record, operation, mapping in calls:
        model = RECORDS.get(record)
        options = operations.get(operation) if isinstance(operations, Mapping) else None
        if model is None or not isinstance(options, Mapping):
            continue
        known = fields(model)
        plan = plans.get(mapping)
        for name, place in _listed(options):
            kind: Kind = "ref" if name == "key" else known[name].kind if name in known else "text"
            raised = Tag.PUB if plan is None else plan.tags.get((record, name), Tag.PUB)
            for tag in sorted({*tags_within(known, name), raised}, key=lambda one: one.rank):
                yield SentField(record, name, kind, tag, place)


def _listed(operation: Mapping) -> Iterator[tuple[str, Place]]:
    seen: set[str] = set()
    listed = operation.get("send_only")
    items: list[Node] = list(listed.items) if isinstance(listed, Listed) else []
    for item in items:
        if isinstance(item, Scalar) and item.text not in seen:
            seen.add(item.text)
            yield item.text, item.place
    for template in templates_of(operation):
        for field, offset in path_placeholders(template.text):
            if field not in seen:
                seen.add(field)
                yield field, template.at(offset)


def _short(name: str) -> str:
    return name if len(name) <= 60 else name[:57] + "..."
