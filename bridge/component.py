"""What a component is: one file that holds its options, an example, its code and its name.

A component is found through a `Catalog`, which is a plain value: the command line passes the
standard one, tests pass another. Nothing registers itself by being imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Kind = Literal["transport", "format", "destination", "credential"]


class Options(BaseModel):
    """The base of all options models: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


@dataclass(frozen=True, slots=True)
class Component:
    """One thing that a file can name.

    ``example`` is YAML text of the options as a site would write them; a test checks it. A destination
    also says which key of an API file stands for it (``marker``), and what each operation may say. ``build``
    makes the working thing from options that were checked.
    """

    kind: Kind
    name: str
    summary: str
    options: type[Options]
    example: str
    marker: str = ""
    operation: type[Options] | None = None
    build: Callable[..., Any] | None = None


@dataclass(frozen=True, slots=True)
class Catalog:
    """All components that files can name, by kind and name."""

    components: tuple[Component, ...]
    _index: Mapping[tuple[str, str], Component] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        index = {(component.kind, component.name): component for component in self.components}
        assert len(index) == len(self.components), "two components of one kind and name"
        object.__setattr__(self, "_index", index)

    def find(self, kind: Kind, name: str) -> Component | None:
        """The component, or None."""
        return self._index.get((kind, name))

    def names(self, kind: Kind) -> list[str]:
        """The names of one kind, sorted."""
        return sorted(component.name for component in self.components if component.kind == kind)
