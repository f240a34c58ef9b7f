"""Environments, ``channels/environments/NAME.yaml``, and the references ``value://NAME`` to what they say.

One set of channel and API files serves test and production; what differs has a name, and each environment
gives it a value. A value takes the place of its reference in the tree, before anything is checked, so that it
is checked as if it had been written there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Set
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from bridge.component import Options
from bridge.config.names import Name, is_name
from bridge.config.validate import validate
from bridge.located import Mapping, Node, Place, Problem, Scalar, Sequence, did_you_mean

VALUES_MAX_COUNT: Final = 2000
ENVIRONMENTS_MAX_COUNT: Final = 50
FOLDER: Final = "channels/environments"
REFERENCE: Final = "value://"
_WRITE_ONE: Final = f"write {FOLDER}/NAME.yaml, with `values: {{name: ...}}`"
_TEXT_MAX_CHARACTERS: Final = 60


def _value(text: str) -> str:
    if text == "":
        raise ValueError("expected a value; leave the name out where the environment has none")
    if REFERENCE in text:
        raise ValueError("expected the value itself: an environment does not refer to values")
    return text


Value = Annotated[str, AfterValidator(_value)]


class EnvironmentFile(Options):
    """An environment: what is so there, and elsewhere not."""

    environment: Name = Field(description="The environment's name, as in `--environment prod`.")
    production: bool = Field(
        description="true where real patients are concerned, false in a test. It has no default."
    )
    values: Annotated[dict[Name, Value], Field(max_length=VALUES_MAX_COUNT)] = Field(
        default_factory=dict,
        description="What `value://NAME` stands for in channel and API files, by NAME. Secrets stay "
        "references: `secret://env/NAME`.",
    )


@dataclass(frozen=True, slots=True)
class Environment:
    """One environment, as far as its file can be read; its mistakes are told apart.

    ``values`` gives each name as it is written, with what stands there; None where that cannot be used.
    """

    name: str
    production: bool
    path: str
    values: AbstractMapping[str, tuple[Scalar, Scalar | None]]


@dataclass(frozen=True, slots=True)
class Resolved:
    """A tree with values in the place of references.

    ``gone`` names each key that could not be resolved and was taken out, by its mapping's place. ``origins``
    tells of each place that took a value which reference stands there, and where the value is.
    """

    tree: Mapping
    problems: tuple[Problem, ...] = ()
    gone: frozenset[tuple[Place, str]] = frozenset()
    origins: AbstractMapping[Place, tuple[Scalar, Scalar]] = field(default_factory=dict)

    def digest(self, of_file: str) -> str:
        """The digest of what the file comes to: the file's own where it refers to nothing."""
        if not self.origins:
            return of_file
        lines = sorted({f"{name.text}\n{value.text}\n" for name, value in self.origins.values()})
        return hashlib.sha256("".join([of_file, "\n", *lines]).encode()).hexdigest()


def read_environment(tree: Mapping, path: str) -> tuple[Environment, list[Problem]]:
    """Read one file. Of one with mistakes there is what is right, so that other files are checked with it."""
    file, problems = validate(EnvironmentFile, tree)
    wrong = {problem.place for problem in problems}
    name, node = tree.get("environment"), tree.get("values")
    given = node.entries if isinstance(node, Mapping) else ()
    values = {
        key.text: (key, value if isinstance(value, Scalar) and value.place not in wrong else None)
        for key, value in given
    }
    named = isinstance(name, Scalar) and name.place not in wrong
    return Environment(
        name.text if named and isinstance(name, Scalar) else PurePosixPath(path).stem,
        file is not None and file.production,
        path,
        values,
    ), problems


def references(node: Node) -> Iterator[Scalar]:
    """Every value of a tree that is a reference, also one that leads nowhere."""
    match node:
        case Scalar(text=text):
            if text.startswith(REFERENCE):
                yield node
        case Sequence(items=items):
            for item in items:
                yield from references(item)
        case Mapping(entries=entries):
            for _, value in entries:
                yield from references(value)


def resolve(tree: Mapping, environment: Environment | None) -> Resolved:
    """The tree with the environment's values. Without an environment what refers to one is taken out."""
    resolving = _Resolving(environment)
    found = resolving.mapping(tree)
    return Resolved(found, tuple(resolving.problems), frozenset(resolving.gone), resolving.origins)


class _Resolving:
    """One tree on its way. A list with an item that leads nowhere is given up, and the key that holds it."""

    def __init__(self, environment: Environment | None) -> None:
        self.environment = environment
        self.problems: list[Problem] = []
        self.gone: set[tuple[Place, str]] = set()
        self.origins: dict[Place, tuple[Scalar, Scalar]] = {}

    def mapping(self, tree: Mapping) -> Mapping:
        entries = []
        for key, value in tree.entries:
            found = self._node(value)
            if REFERENCE in key.text:
                text = "a key is always the same: `value://` stands for values only"
                self.problems.append(Problem(key.place, "C171", text, "write the key itself"))
                found = None
            if found is None:
                self.gone.add((tree.place, key.text))
            else:
                entries.append((key, found))
        return Mapping(tuple(entries), tree.place)

    def _node(self, node: Node) -> Node | None:
        match node:
            case Scalar():
                return self._scalar(node) if REFERENCE in node.text else node
            case Sequence(items=items):
                found = [self._node(item) for item in items]
                kept = tuple(each for each in found if each is not None)
                return Sequence(kept, node.place) if len(kept) == len(items) else None
            case Mapping():
                return self.mapping(node)

    def _scalar(self, scalar: Scalar) -> Scalar | None:
        name = scalar.text.removeprefix(REFERENCE)
        if not scalar.text.startswith(REFERENCE) or not is_name(name):
            text = "`value://NAME` stands for a whole value, never for a part of one"
            hint = "write nothing beside it, and the whole text into each environment"
            self.problems.append(Problem(scalar.place, "C171", text, hint))
            return None
        if self.environment is None:
            return None
        key, value = self.environment.values.get(name, (None, None))
        if key is None:
            text = f"the environment {self.environment.name} has no value `{name}`"
            hint = did_you_mean(name, self.environment.values) or f"add it to {self.environment.path}"
            self.problems.append(Problem(scalar.place, "C170", text, hint))
        if key is None or value is None:
            return None
        self.origins[scalar.place] = (key, value)
        return Scalar(value.text, scalar.place, value.style, verbatim=False)


def unnamed(trees: Iterable[Mapping], names: list[str]) -> list[Problem]:
    """The problem that files refer to values and nobody said of which environment, at the first of them."""
    places = sorted(scalar.place for tree in trees for scalar in references(tree))
    hint = f"say --environment {' or '.join(names)}" if names else _WRITE_ONE
    text = "this differs between environments, and none was named"
    return [Problem(place, "C172", text, hint) for place in places[:1]]


def no_such_environment(name: str, names: list[str]) -> Problem:
    """The problem that the environment which was asked for is not there."""
    text = f"there is no environment `{name[:_TEXT_MAX_CHARACTERS]}`"
    return Problem(Place(FOLDER, 1, 1), "C172", text, did_you_mean(name, names) or _WRITE_ONE)


def unused(environment: Environment, trees: Iterable[Mapping], awaited: Set[str]) -> list[Problem]:
    """A warning for each value that no file refers to, and none that is ``awaited``."""
    used = {scalar.text.removeprefix(REFERENCE) for tree in trees for scalar in references(tree)} | awaited
    return [
        Problem(key.place, "C141", f"no file refers to {REFERENCE}{name[:_TEXT_MAX_CHARACTERS]}",
                severity="warning")
        for name, (key, _) in environment.values.items()
        if name not in used
    ]  # fmt: skip


def misplaced(tree: Mapping) -> list[Problem]:
    """References in a file that takes none: a mapping means the same in every environment."""
    text = "`value://` is for channel and API files: a mapping is the same in every environment"
    hint = "write the value itself"
    return [Problem(scalar.place, "C171", text, hint) for scalar in references(tree)]


def with_origins(hint: str | None, origins: Iterable[tuple[Scalar, Scalar]]) -> str | None:
    """A hint that also says where the value is that took the place of a reference."""
    told = dict.fromkeys(
        f"{REFERENCE}{name.text} is in {value.place.file}:{value.place.line}" for name, value in origins
    )
    return "; ".join([*([hint.rstrip(".")] if hint and told else [hint] if hint else []), *told]) or None
