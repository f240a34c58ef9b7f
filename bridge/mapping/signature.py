"""What a mapping function takes and gives, read from the annotations of the Python function itself."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from bridge.formats.hl7v2 import Hl7Null
from bridge.mapping.values import Seen, Type


@dataclass(frozen=True, slots=True)
class Checked:
    """On an argument: it must be a literal, and ``mistake`` says what is wrong with it, or None."""

    mistake: Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Param:
    """One argument. ``type`` None takes every type; ``lenient`` also takes absent and NULL.

    ``lazy`` arguments are evaluated by the function itself, ``whole`` ones reach it as int.
    """

    name: str
    type: Type | None
    lenient: bool = False
    lazy: bool = False
    whole: bool = False
    optional: bool = False
    checked: Checked | None = None


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the language. ``result`` None gives what its lazy arguments give.

    ``counts`` tells that it is given what was `Seen` in the message; ``of_table`` that its first argument is
    the name of a table, in whose place it gets the rows.
    """

    name: str
    call: Callable[..., Any]
    params: tuple[Param, ...]
    variadic: Param | None
    result: Type | None
    counts: bool = False
    of_table: bool = False

    @property
    def arity(self) -> str:
        """How many arguments it takes, in words."""
        least = sum(not each.optional for each in self.params)
        if self.variadic is not None:
            return f"at least {least}"
        return str(least) if least == len(self.params) else f"{least} to {len(self.params)}"

    def takes(self, count: int) -> bool:
        """Whether it can be called with that many arguments."""
        least = sum(not each.optional for each in self.params)
        return least <= count and (self.variadic is not None or count <= len(self.params))

    def param(self, index: int) -> Param:
        """The argument at ``index``, counting from 0."""
        if index < len(self.params):
            return self.params[index]
        assert self.variadic is not None, "the number of arguments was checked"
        return self.variadic

    @property
    def summary(self) -> str:
        """The first line of its documentation."""
        return (inspect.getdoc(self.call) or "").partition("\n")[0]


TableRows = Callable[[str, str], Mapping[str, str] | None]
"""The rows of a table: what its columns have for a code on a day ('' for any), or None."""

_PLAIN = {str: Type.TEXT, bool: Type.BOOL, Decimal: Type.NUMBER, int: Type.NUMBER}


def describe(call: Callable[..., Any]) -> Function:
    """The function with what its annotations say. ``if_`` is called ``if`` in files."""
    hints = get_type_hints(call, include_extras=True)
    params: list[Param] = []
    variadic: Param | None = None
    counts = of_table = False
    for name, each in inspect.signature(call).parameters.items():
        if hints[name] is Seen:
            counts = True
            continue
        if hints[name] == TableRows:
            of_table = True
            params.append(Param(name, Type.TEXT))
            continue
        optional = each.default is not inspect.Parameter.empty
        param = _param(name, hints[name], optional=optional)
        if each.kind is inspect.Parameter.VAR_POSITIONAL:
            variadic = param
        else:
            params.append(param)
    result = _plain_type(hints["return"])
    return Function(call.__name__.rstrip("_"), call, tuple(params), variadic, result, counts, of_table)


def _param(name: str, hint: Any, *, optional: bool) -> Param:
    checked = None
    if get_origin(hint) is Annotated:
        hint, *notes = get_args(hint)
        checked = next((note for note in notes if isinstance(note, Checked)), None)
    if get_origin(hint) is Callable or get_origin(hint) is get_origin(Callable[[], str]):
        return Param(name, None, lenient=True, lazy=True, optional=optional)
    alternatives = _alternatives(hint)
    return Param(
        name,
        _plain_type(hint),
        lenient=Hl7Null in alternatives,
        whole=int in alternatives,
        optional=optional,
        checked=checked,
    )


def _plain_type(hint: Any) -> Type | None:
    """The one type among the alternatives of an annotation; None where there are several."""
    found = {_PLAIN.get(each) or Type.LIST for each in _alternatives(hint) if each is not Hl7Null}
    return found.pop() if len(found) == 1 else None


def _alternatives(hint: Any) -> list[Any]:
    if get_origin(hint) in (Union, types.UnionType):
        return [each for each in get_args(hint) if each is not type(None)]
    return [hint]
