"""The shape of the code: which part may import which, and what each part may do."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePosixPath

import pytest
from code_reading import PACKAGE, ROOT, Module, imports, modules, part_of, spoken

LAYERS: tuple[frozenset[str], ...] = tuple(
    map(
        frozenset,
        (
            {"__main__"},
            {"cli"},
            {"catalog"},
            {"runtime"},
            {"migration", "observe"},
            {"journal", "governance", "destinations", "transports", "config"},
            {"evidence"},
            {"mapping", "delivery", "approvals", "contracts"},
            {"audit"},
            {"decoders"},
            {"formats"},
            {"canonical"},
            {"tls", "ssh", "dictionary", "fhir"},
            {"message", "component", "errors", "shipped"},
            {"located", "units"},
            {"__init__"},
        ),
    )
)
"""A part imports only what stands below it; parts of one line do not know each other."""

PURE = (
    "approvals/",
    "audit/",
    "canonical/",
    "contracts/",
    "evidence/",
    "fhir/",
    "formats/",
    "governance/",
    "mapping/",
    "delivery/",
    "migration/mirth/",
)
PURE_PARTS = frozenset(
    {
        "approvals",
        "audit",
        "evidence",
        "canonical",
        "contracts",
        "formats",
        "governance",
        "mapping",
        "delivery",
        "migration",
        "fhir",
        "message",
        "component",
        "errors",
        "units",
        "located",
    }
)
OUTSIDE_WORLD = {
    "aiohttp", "alembic", "asyncio", "ctypes", "fcntl", "fileinput", "glob", "http", "importlib",
    "io", "logging", "mmap", "multiprocessing", "os", "pathlib", "platform", "prometheus_client",
    "psycopg", "pysqlite3", "queue", "random", "resource", "sched", "secrets", "select", "selectors",
    "shutil", "signal", "smtplib", "socket", "socketserver", "sqlalchemy", "sqlite3", "ssl", "structlog",
    "subprocess", "sys", "tempfile", "threading", "time", "twisted", "urllib.request", "uuid",
    "uvloop", "yaml",
}  # fmt: skip
OUTSIDE_CALLS = frozenset({"open", "print", "input", "breakpoint"})

LIBRARIES: dict[str, tuple[str, ...]] = {
    "sqlalchemy": ("journal/",),
    "alembic": ("journal/",),
    "psycopg": ("journal/postgresql.py", "journal/postgresql_session.py"),
    "sqlite3": ("journal/",),
    "pysqlite3": ("journal/",),
    "yaml": ("config/",),
    "twisted": (
        "transports/",
        "destinations/",
        "journal/journal.py",
        "journal/places.py",
        "journal/threads.py",
        "journal/writer.py",
        "migration/relay/",
        "observe/",
        "runtime/",
        "cli/",
    ),
    "aiohttp": ("cli/",),
    "httptools": ("destinations/",),
    "nats": ("destinations/", "cli/"),
    "aiokafka": ("destinations/", "cli/"),
    "re2": ("mapping/functions/",),
    "jsonschema_rs": ("contracts/",),
    "OpenSSL": ("transports/", "migration/relay/"),
    "ssl": ("tls/", "destinations/", "config/vault.py", "cli/"),
    "yarl": ("destinations/", "cli/"),
    "asyncio": ("destinations/", "cli/"),
    "uvloop": ("cli/",),
    "click": ("cli/",),
    "rich": ("cli/",),
    "prometheus_client": ("observe/",),
    "structlog": (
        "transports/",
        "destinations/",
        "journal/",
        "observe/",
        "runtime/",
        "migration/",
        "config/vault.py",
        "cli/",
    ),
    "logging": ("observe/",),
    "hl7": ("formats/", "cli/"),
    "subprocess": ("cli/",),
    "threading": ("journal/", "ssh/", "config/vault.py", "cli/"),
    "paramiko": ("ssh/", "cli/"),
    "watchdog": ("transports/",),
}
"""Where a library may be imported; one that is not named here may be anywhere that is not pure."""

CHANCE_AND_TIME = re.compile(
    r"(time|random|secrets|uuid)(\.|$)"
    r"|os\.(environ|environb|getenv|getenvb|urandom|getrandom|getpid)\b"
    r"|datetime\.(datetime|date)\.(now|utcnow|today)$"
)
CHANCE_AND_TIME_FROM = ("runtime/service.py", "config/settings.py", "cli/")

WITH_COMPONENTS = ("transports", "destinations", "formats")
SHARED_BY_COMPONENTS = frozenset(
    "addresses base control_totals document edi edi_levels rows rows_plain rows_rejected files_out in_loop "
    "into_journal http_calls http_connection http_failures http_responses http_session http_urls watching "
    "collecting collecting_options setbacks files_told mllp_addresses mllp_tls mllp_handshake mllp_peers "
    "gathered http_port put_names files_collected files_under_way partial_files acknowledged sifting "
    "other_claims portless".split()
)
"""Modules of these folders that are no component's own: what one is, the way into asyncio, HTTP, taking files
and putting them wherever they lie, and addresses and TLS of what listens."""

WAYS = (["bridge", "transports"], ["bridge", "destinations"])
NO_WAY = frozenset({"base", "http_port"})
"""Their modules that are no way in or out: what one promises, and a port of HTTP within limits."""

MIGRATIONS = "journal/migrations/versions/"
MODULE_MAX_LINES = 450
VAGUE = re.compile(r"(Manager|Handler|Processor|Engine|Helper|Helpers|Util|Utils)$", re.IGNORECASE)
RUNS_TEXT = frozenset({"eval", "exec", "compile", "__import__", "builtins.eval", "builtins.exec"})
LOADS_OBJECTS = frozenset({"pickle", "cPickle", "dill", "marshal", "shelve", "jsonpickle"})

COMES_WITH = {
    "pydantic_core": "pydantic",
    "yarl": "aiohttp",
    "zope": "twisted",
    "service_identity": "twisted",
}
"""Packages that are the public interface of another, and are pinned by it."""
IMPORTED_AS = {
    "typing-extensions": "typing_extensions",
    "google-re2": "re2",
    "http-message-signatures": "http_message_signatures",
    "jsonschema-rs": "jsonschema_rs",
    "nats-py": "nats",
    "pyopenssl": "OpenSSL",
    "python-gnupg": "gnupg",
    "pyyaml": "yaml",
    "prometheus-client": "prometheus_client",
}
NO_CODE = frozenset({"tzdata"})
"""Data that the standard library reads by itself."""

Rule = Callable[[Module], Iterator[str]]


def follows_the_arrows(module: Module) -> Iterator[str]:
    """A part imports itself, and what stands below it."""
    below = _below(module.part)
    for name, line in imports(module):
        part = part_of(name)
        if part is not None and part != module.part and part not in below:
            yield f"{module.path}:{line}: {module.part} imports {part}"


def _below(part: str) -> frozenset[str]:
    places = [place for place, layer in enumerate(LAYERS) if part in layer]
    assert places, f"{part} is in no layer: put it into the table where it belongs"
    return frozenset[str]().union(*LAYERS[places[0] + 1 :])


def only_the_command_line_knows_the_catalog(module: Module) -> Iterator[str]:
    """Everything else is given a catalog, so that tests and sites can give another."""
    for name, line in imports(module):
        if name.startswith("bridge.catalog") and module.part != "cli":
            yield f"{module.path}:{line}: imports the catalog"


def _family(module: str) -> str:
    return module.partition("_")[0]


def components_do_not_know_each_other(module: Module) -> Iterator[str]:
    """A component is one file, or files whose names begin alike; it shares only `SHARED_BY_COMPONENTS`."""
    if module.part not in WITH_COMPONENTS:
        return
    own = PurePosixPath(module.path).stem
    for name, line in imports(module):
        parts = name.split(".")
        if parts[:2] != ["bridge", module.part] or len(parts) < 3:
            continue
        # What is shared stands below the components: nothing below `base`, and `base` below the rest.
        below = {"in_loop"} if own == "base" else SHARED_BY_COMPONENTS
        if _family(parts[2]) != _family(own) and parts[2] not in below:
            yield f"{module.path}:{line}: {own} imports {parts[2]}"


def ways_in_and_out_are_found_through_the_catalog(module: Module) -> Iterator[str]:
    """Who runs transports and destinations knows what each promises, and none by its name."""
    # The relay stands between an old engine and its peers: it is a way in and a way out at once.
    if module.part in (*WITH_COMPONENTS, "cli", "catalog") or module.path.startswith("migration/relay/"):
        return
    for name, line in imports(module):
        parts = name.split(".")
        if parts[:2] in WAYS and not NO_WAY.intersection(parts[2:3]):
            yield f"{module.path}:{line}: imports {name}"


def libraries_stay_where_they_belong(module: Module) -> Iterator[str]:
    """`LIBRARIES`, over all imports."""
    for name, line in imports(module):
        where = LIBRARIES.get(name.partition(".")[0])
        if where is not None and not module.path.startswith(where):
            yield f"{module.path}:{line}: imports {name}"


def time_chance_and_identity_are_arguments(module: Module) -> Iterator[str]:
    """The clock, randomness and the environment are read in few places, and passed on."""
    if module.path.startswith(CHANCE_AND_TIME_FROM):
        return
    for name, line in (*imports(module), *spoken(module)):
        if CHANCE_AND_TIME.match(name):
            yield f"{module.path}:{line}: {name}"


def pure_folders_touch_nothing(module: Module) -> Iterator[str]:
    """Nothing that could read, write, wait or log is even imported."""
    if not module.path.startswith(PURE):
        return
    for name, line in imports(module):
        part = part_of(name)
        foreign = part is not None and part not in PURE_PARTS
        if foreign or OUTSIDE_WORLD & {name, name.partition(".")[0]}:
            yield f"{module.path}:{line}: imports {name}"
    for name, line in _called(module):
        if name in OUTSIDE_CALLS:
            yield f"{module.path}:{line}: calls {name}"


def _called(module: Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id, node.lineno


RUNS_ITS_OWN = frozenset({("mapping/generate.py", "exec"), ("mapping/generate.py", "compile")})
READS_ITS_OWN = "journal/frames.py"


def text_is_never_run(module: Module) -> Iterator[str]:
    """No text becomes code, and no bytes become objects by themselves.

    One module runs what it has written itself, from a checked tree; another reads objects that the other end
    of a line without a name has written.
    """
    for name, line in _called(module):
        if name in RUNS_TEXT and (module.path, name) not in RUNS_ITS_OWN:
            yield f"{module.path}:{line}: calls {name}"
    for name, line in imports(module):
        if name.partition(".")[0] in LOADS_OBJECTS and module.path != READS_ITS_OWN:
            yield f"{module.path}:{line}: imports {name}"


def names_say_what_a_thing_is(module: Module) -> Iterator[str]:
    """No class or module is called by a word that fits any."""
    if VAGUE.search(PurePosixPath(module.path).stem):
        yield f"{module.path}: the module's name"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef) and VAGUE.search(node.name):
            yield f"{module.path}:{node.lineno}: class {node.name}"


def modules_are_small(module: Module) -> Iterator[str]:
    """A module can be read in one sitting."""
    if (lines := module.source.count("\n")) > MODULE_MAX_LINES:
        yield f"{module.path}: {lines} lines"


def public_things_say_what_they_promise(module: Module) -> Iterator[str]:
    """Every module, and every public class and function of it, has a docstring."""
    if module.path.startswith(MIGRATIONS):
        return  # what is in one is for Alembic to call
    if ast.get_docstring(module.tree) is None:
        yield f"{module.path}: the module"
    for node in module.tree.body:
        if (
            isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and not node.name.startswith("_")
            and ast.get_docstring(node) is None
        ):
            yield f"{module.path}:{node.lineno}: {node.name}"


RULES: dict[Rule, tuple[Module, ...]] = {
    follows_the_arrows: (
        Module("mapping/x.py", "import bridge.journal.schema\n"),
        Module("journal/x.py", "def f():\n    from bridge.config.load import load\n"),
        Module("formats/x.py", "from bridge import catalog\n"),
        Module("runtime/x.py", "from bridge.cli import output\n"),
        Module("located.py", "from bridge.errors import BridgeError\n"),
        Module("observe/x.py", "import bridge.migration.relay\n"),
    ),
    only_the_command_line_knows_the_catalog: (
        Module("runtime/x.py", "from bridge.catalog import STANDARD\n"),
        Module("config/x.py", "def f():\n    from bridge import catalog\n"),
    ),
    components_do_not_know_each_other: (
        Module("transports/sftp.py", "from bridge.transports.mllp import MllpOptions\n"),
        Module("destinations/events.py", "from bridge.destinations import http_api\n"),
        Module("formats/x12.py", "import bridge.formats.hl7v2\n"),
        Module("destinations/base.py", "import bridge.destinations.http_session\n"),
        Module("destinations/http_session.py", "import bridge.destinations.mllp_send\n"),
    ),
    ways_in_and_out_are_found_through_the_catalog: (
        Module("runtime/x.py", "from bridge.transports.mllp import MllpListener\n"),
        Module("config/x.py", "from bridge.destinations import http_api\n"),
    ),
    libraries_stay_where_they_belong: (
        Module("runtime/x.py", "from sqlalchemy import select\n"),
        Module("mapping/x.py", "import yaml\n"),
        Module("delivery/x.py", "from twisted.internet.defer import Deferred\n"),
        Module("config/x.py", "def f():\n    from twisted.internet import reactor\n"),
        Module("journal/database.py", "from twisted.internet import threads\n"),
        Module("runtime/x.py", "import aiohttp\n"),
        Module("journal/x.py", "from alembic import command\n\nimport click\n"),
    ),
    time_chance_and_identity_are_arguments: (
        Module("runtime/x.py", "import time\n"),
        Module("delivery/x.py", "from time import monotonic\n"),
        Module("journal/x.py", "import random\n"),
        Module("journal/x.py", "def f():\n    from uuid import uuid4\n"),
        Module("config/x.py", "import os\n\nhome = os.environ['HOME']\n"),
        Module("config/x.py", "from os import getenv\n"),
        Module("journal/x.py", "import os\n\nkey = os.urandom(8)\n"),
        Module("mapping/x.py", "from datetime import datetime as moment\n\nnow = moment.now()\n"),
        Module("mapping/x.py", "import datetime\n\nnow = datetime.date.today()\n"),
    ),
    pure_folders_touch_nothing: (
        Module("mapping/x.py", "import pathlib\n"),
        Module("formats/x.py", "import logging\n"),
        Module("delivery/x.py", "def f():\n    from urllib.request import urlopen\n"),
        Module("canonical/x.py", "text = open('x').read()\n"),
        Module("formats/mllp_framing.py", "from twisted.internet.protocol import Protocol\n"),
        Module("mapping/x.py", "from bridge.shipped import shipped\n"),
        Module("migration/mirth/x.py", "import pathlib\n"),
        Module("migration/mirth/x.py", "from bridge.config.load import load\n"),
    ),
    text_is_never_run: (
        Module("mapping/x.py", "eval('1')\n"),
        Module("cli/x.py", "exec('1')\n"),
        Module("mapping/x.py", "compile('1', '', 'eval')\n"),
        Module("journal/x.py", "import pickle\n"),
    ),
    names_say_what_a_thing_is: (
        Module("runtime/x.py", "class ChannelManager:\n    pass\n"),
        Module("runtime/x.py", "class Outer:\n    class MessageProcessor:\n        pass\n"),
        Module("mapping/utils.py", ""),
    ),
    modules_are_small: (Module("cli/x.py", "\n" * (MODULE_MAX_LINES + 1)),),
    public_things_say_what_they_promise: (
        Module("cli/x.py", "import os\n"),
        Module("cli/x.py", '"""A module."""\n\ndef public():\n    return 1\n'),
        Module("cli/x.py", '"""A module."""\n\nclass Public:\n    pass\n'),
    ),
}
"""Each rule with modules that break it."""


def _name(value: object) -> str | None:
    return getattr(value, "__name__", None) or (value.path if isinstance(value, Module) else None)


@pytest.mark.parametrize("rule", RULES, ids=_name)
def test_every_module_keeps_the_rule(rule: Rule) -> None:
    assert [broken for module in modules() for broken in rule(module)] == []


@pytest.mark.parametrize(
    ("rule", "planted"),
    [(rule, planted) for rule, broken in RULES.items() for planted in broken],
    ids=_name,
)
def test_a_planted_module_breaks_the_rule(rule: Rule, planted: Module) -> None:
    assert list(rule(planted)) != []


GOOD = (
    Module("runtime/x.py", '"""Good."""\n\nfrom bridge.transports.base import Listener\n'),
    Module("transports/mllp.py", '"""Good."""\n\nfrom bridge.formats.mllp_framing import frame\n'),
    Module("destinations/x.py", '"""Good."""\n\nfrom bridge.destinations.in_loop import in_loop\n'),
    Module("mapping/x.py", '"""Good."""\n\nimport re\nfrom datetime import UTC\n\nre.compile("x")\n'),
    Module("cli/x.py", '"""Good."""\n\nimport time\n\nfrom bridge.catalog import STANDARD\n'),
    Module("runtime/service.py", '"""Good."""\n\nimport random\nimport time\n'),
)


@pytest.mark.parametrize("module", GOOD, ids=_name)
def test_a_good_module_breaks_no_rule(module: Module) -> None:
    assert [broken for rule in RULES for broken in rule(module)] == []


def test_every_part_has_its_place_in_the_table() -> None:
    placed = [part for layer in LAYERS for part in layer]
    assert len(placed) == len(set(placed))
    assert {module.part for module in modules()} <= set(placed)


def test_the_folders_that_rules_speak_of_are_there() -> None:
    names = {module.path for module in modules()}
    for path in (*PURE, *CHANCE_AND_TIME_FROM):
        assert any(name.startswith(path) for name in names), path


IMPORT_ALL = """
import importlib, json, sys
for name in json.load(sys.stdin):
    importlib.import_module(name)
print("twisted.internet.reactor" in sys.modules)
if "control" in sys.argv:
    from twisted.internet import reactor
    print("twisted.internet.reactor" in sys.modules)
"""
RUN_BY_ALEMBIC = ("journal/migrations/env.py", MIGRATIONS)


def _import_all(names: Iterable[str], *arguments: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORT_ALL, *arguments],
        input=json.dumps(list(names)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_importing_any_module_installs_no_reactor() -> None:
    names = [module.name for module in modules() if not module.path.startswith(RUN_BY_ALEMBIC)]
    assert len(names) > 50
    assert _import_all(names, "control") == ["False", "True"]


# What is installed


def _project() -> dict[str, list[str]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {
        "dependencies": [
            *project["dependencies"],
            *project["optional-dependencies"]["postgres"],
            *project["optional-dependencies"]["pgp"],
            *project["optional-dependencies"]["nats"],
            *project["optional-dependencies"]["kafka"],
            *project["optional-dependencies"]["edifact"],
            *project["optional-dependencies"]["x12"],
        ],
        "dev": project["optional-dependencies"]["dev"],
    }


def _distribution(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found is not None, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def _libraries_imported() -> set[str]:
    names = {name.partition(".")[0] for module in modules() for name, _ in imports(module)}
    return {COMES_WITH.get(name, name) for name in names - sys.stdlib_module_names - {"bridge"}}


def _declared() -> dict[str, str]:
    """The name to import of each declared distribution."""
    names = map(_distribution, _project()["dependencies"])
    return {IMPORTED_AS.get(name, name): name for name in names if name not in NO_CODE}


def test_every_library_that_is_imported_is_declared() -> None:
    assert _libraries_imported() - set(_declared()) == set()


def test_every_library_that_is_declared_is_imported() -> None:
    imported = _libraries_imported()
    assert {name for library, name in _declared().items() if library not in imported} == set()


def unlocked(text: str) -> list[str]:
    """What is wrong with a lock file: lines that pin nothing, and pins without a hash."""
    logical = [line.strip() for line in text.replace("\\\n", " ").splitlines()]
    wrong = []
    for line in logical:
        if not line or line.startswith("#"):
            continue
        requirement, *hashes = re.split(r"\s+--hash=", line)
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*==[^\s;]+(\s*;.*)?", requirement.strip()):
            wrong.append(f"pins nothing: {requirement}")
        elif not hashes or not all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest.strip()) for digest in hashes):
            wrong.append(f"has no usable hash: {requirement}")
    if "://" in text:
        wrong.append("names an address")
    return wrong


@pytest.mark.parametrize(
    "text",
    [
        "--index-url https://packages.example/simple\n",
        "--extra-index-url=x\n",
        "aiohttp>=3.14 --hash=sha256:" + "0" * 64,
        "aiohttp==3.14.5\n",
        "aiohttp==3.14.5 \\\n    --hash=md5:00\n",
        "aiohttp @ https://packages.example/aiohttp.whl --hash=sha256:" + "0" * 64,
    ],
)
def test_a_lock_that_names_an_index_or_lacks_a_hash_is_seen(text: str) -> None:
    assert unlocked(text)


def test_the_lock_pins_everything_by_hash_and_names_no_index() -> None:
    text = (ROOT / "requirements.lock").read_text()
    assert unlocked(text) == []
    locked = set(re.findall(r"^([a-z0-9._-]+)==", text, re.MULTILINE))
    project = _project()
    assert {_distribution(each) for each in project["dependencies"] + project["dev"]} <= locked


def test_the_top_level_holds_what_was_agreed() -> None:
    agreed = {
        "pyproject.toml", "README.md", "bridge", "channels", "mappings", "legacy_fixtures", "tests", "deploy",
        "LICENSE", "NOTICE", "CHANGELOG.md", "Makefile", ".ci", "requirements.lock", ".gitattributes",
        ".gitignore",
    }  # fmt: skip
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        assert {line.partition("/")[0] for line in listed.stdout.splitlines()} <= agreed
    assert PACKAGE.is_dir()


def test_the_page_shows_the_arrows_that_are_held_and_each_table_once() -> None:
    text = (PACKAGE / "ARCHITECTURE.md").read_text("utf-8")
    layers = [sorted(layer) for layer in LAYERS if layer != {"__init__"}]
    arrows = " → ".join(f"{{{', '.join(each)}}}" if each[1:] else each[0] for each in layers)
    assert f"`{arrows}`" in " ".join(text.split())
    (tables,) = re.findall(r"(?:^\| `.*\n){10,}", text, re.MULTILINE)[:1]
    named = [name for row in tables.splitlines() for name in re.findall(r"`(\w+)`", row.split(" | ")[0])]
    assert sorted(set(named)) == sorted(named)
