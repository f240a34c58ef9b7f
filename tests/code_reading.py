"""What the tests of the code's own shape read: modules as syntax trees, and what these import and call."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "bridge"


@dataclass(frozen=True, slots=True)
class Module:
    """One module of the package. ``path`` is relative to ``bridge/``, as in ``runtime/service.py``."""

    path: str
    source: str

    @property
    def tree(self) -> ast.Module:
        return _parsed(self.source)

    @property
    def part(self) -> str:
        """What stands in the table of arrows: the folder, or the name of a module beside the folders."""
        first, _, rest = self.path.partition("/")
        return first if rest else first.removesuffix(".py")

    @property
    def name(self) -> str:
        """The name to import it by."""
        dotted = self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        return "bridge" if dotted == "__init__" else f"bridge.{dotted}"


@cache
def _parsed(source: str) -> ast.Module:
    return ast.parse(source)


@cache
def modules() -> tuple[Module, ...]:
    """Every module of the package."""
    return tuple(
        Module(path.relative_to(PACKAGE).as_posix(), path.read_text())
        for path in sorted(PACKAGE.rglob("*.py"))
    )


@cache
def _packages() -> frozenset[str]:
    return frozenset(module.name for module in modules() if module.path.endswith("__init__.py"))


def imports(module: Module) -> Iterator[tuple[str, int]]:
    """The full name of each module that is imported, also inside functions, with its line.

    ``from bridge.cli import output`` gives ``bridge.cli.output``, as a package's own names do.
    """
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module.path}:{node.lineno}: a relative import"
            name = node.module or ""
            if name in _packages():
                yield from ((f"{name}.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield name, node.lineno


def part_of(name: str) -> str | None:
    """The part that an imported name belongs to; None for what is not the bridge's own."""
    first, *rest = name.split(".")
    if first != "bridge":
        return None
    return "__init__" if not rest or rest[0].startswith("__") else rest[0]


def dotted(node: ast.expr) -> str:
    """``a.b.c`` of an expression that is such a name, else ''."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := dotted(node.value)):
        return f"{before}.{node.attr}"
    return ""


def spoken(module: Module) -> Iterator[tuple[str, int]]:
    """Every dotted name in the code that begins with something imported, with its full name.

    After ``from datetime import datetime as moment``, ``moment.now`` is ``datetime.datetime.now``.
    """
    full: dict[str, str] = {}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.partition(".")[0]
                full[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                full[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                yield f"{node.module}.{alias.name}", node.lineno
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute | ast.Name) and (name := dotted(node)):
            first, dot, rest = name.partition(".")
            if first in full:
                yield full[first] + dot + rest, node.lineno
