"""The reference tables of the mapping language, made from the code. A test compares the pages with them."""

from __future__ import annotations

from collections.abc import Sequence

from bridge.mapping.codes import CODES
from bridge.mapping.constructors import CONSTRUCTORS, Constructor
from bridge.mapping.functions import FUNCTIONS
from bridge.mapping.key_texts import RULE_KEYS
from bridge.mapping.signature import Function, Param


def functions_table() -> str:
    """All functions with their arguments and what they give, as a Markdown table."""
    rows = [(f"`{call_of(each)}`", result_of(each), each.summary) for each in FUNCTIONS.values()]
    return _table(("function", "gives", ""), rows)


def constructors_table() -> str:
    """All constructors with what they read, and an example of each, as a Markdown table."""
    rows = [
        (f"`{constructor_call(each)}`", each.of, each.summary, _constructed(each))
        for each in CONSTRUCTORS.values()
    ]
    return _table(("constructor", "of", "", "as in"), rows)


def constructor_call(constructor: Constructor) -> str:
    """How a constructor is called, with names for what it takes."""
    least = len(constructor.takes) - constructor.optional
    taken = [f"{name}?" if at >= least else name for at, name in enumerate(constructor.takes)]
    return f"{constructor.name}({', '.join(taken)})"


def _constructed(constructor: Constructor) -> str:
    field, made = constructor.example
    return f"`{field}`: {', '.join(f'{name} {value}' for name, value in made.items())}" if field else ""


def rules_table() -> str:
    """The keys of a rule, as a Markdown table."""
    return _table(("key", ""), [(f"`{key}`", text) for key, text in RULE_KEYS.items()])


def codes_table() -> str:
    """All codes of mistakes and issues, as a Markdown table."""
    return _table(("code", ""), [(f"`{code}`", sentence) for code, sentence in CODES.items()])


def call_of(function: Function) -> str:
    """How a function is called, with names for its arguments."""
    arguments = [_argument(param) for param in function.params]
    if function.variadic is not None:
        arguments.append(f"{function.variadic.name}...")
    return f"{function.name}({', '.join(arguments)})"


def _argument(param: Param) -> str:
    return f"{param.name}?" if param.optional else param.name


def result_of(function: Function) -> str:
    """What a function gives, in a word."""
    return "what it chooses" if function.result is None else function.result.value


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(each.replace("|", "\\|") for each in line) + " |" for line in lines)
