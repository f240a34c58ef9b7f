"""JavaScript with E4X as a tree. Every node knows where in its script it stands."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Name:
    """A variable."""

    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Text:
    """A string."""

    value: str
    at: int


@dataclass(frozen=True, slots=True)
class Number:
    """A number, as it is written."""

    text: str
    at: int


@dataclass(frozen=True, slots=True)
class Constant:
    """``true``, ``false``, ``null`` or ``undefined``."""

    word: str
    at: int


@dataclass(frozen=True, slots=True)
class Regex:
    """A regular expression."""

    pattern: str
    flags: str
    at: int


@dataclass(frozen=True, slots=True)
class Xml:
    """An XML literal, unread."""

    at: int


@dataclass(frozen=True, slots=True)
class Member:
    """``a.b``, ``a['b']``; of E4X ``a.@b`` (``attribute``) and ``a..b`` (``descendant``)."""

    object: Tree
    key: Tree
    at: int
    attribute: bool = False
    descendant: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A call, or ``new``."""

    function: Tree
    arguments: tuple[Tree, ...]
    at: int
    new: bool = False


@dataclass(frozen=True, slots=True)
class Unary:
    """A sign or word before a value."""

    operator: str
    value: Tree
    at: int


@dataclass(frozen=True, slots=True)
class Binary:
    """Two values and what joins them."""

    operator: str
    left: Tree
    right: Tree
    at: int


@dataclass(frozen=True, slots=True)
class Assign:
    """``a = b``, ``a += b``; ``a++`` is ``a += 1``."""

    operator: str
    target: Tree
    value: Tree
    at: int


@dataclass(frozen=True, slots=True)
class Conditional:
    """``a ? b : c``."""

    condition: Tree
    then: Tree
    otherwise: Tree
    at: int


@dataclass(frozen=True, slots=True)
class Function:
    """A function, with or without a name."""

    name: str
    parameters: tuple[str, ...]
    body: tuple[Tree, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Object:
    """``{a: 1}``."""

    entries: tuple[tuple[str, Tree], ...]
    at: int


@dataclass(frozen=True, slots=True)
class Array:
    """``[1, 2]``."""

    items: tuple[Tree, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Declaration:
    """``var a = 1, b``; ``word`` is `var`, `let` or `const`."""

    names: tuple[tuple[str, Tree | None], ...]
    at: int
    word: str = "var"


@dataclass(frozen=True, slots=True)
class If:
    """``if`` with its two blocks."""

    condition: Tree
    then: tuple[Tree, ...]
    otherwise: tuple[Tree, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Loop:
    """Any loop. ``over`` is what ``for each`` goes through, or None; ``name`` its variable."""

    kind: str
    name: str
    over: Tree | None
    test: Tree | None
    body: tuple[Tree, ...]
    at: int
    start: Tree | None = None
    step: Tree | None = None


@dataclass(frozen=True, slots=True)
class Return:
    """``return``."""

    value: Tree | None
    at: int


@dataclass(frozen=True, slots=True)
class Throw:
    """``throw``."""

    value: Tree
    at: int


@dataclass(frozen=True, slots=True)
class Try:
    """``try`` with what is caught and what is done in any case."""

    body: tuple[Tree, ...]
    handler: tuple[Tree, ...]
    final: tuple[Tree, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Switch:
    """``switch``; the value of ``default`` is None."""

    value: Tree
    cases: tuple[tuple[Tree | None, tuple[Tree, ...]], ...]
    at: int


@dataclass(frozen=True, slots=True)
class Jump:
    """``break`` or ``continue``."""

    word: str
    at: int


@dataclass(frozen=True, slots=True)
class Block:
    """Statements in braces."""

    body: tuple[Tree, ...]
    at: int


Tree = (
    Name
    | Text
    | Number
    | Constant
    | Regex
    | Xml
    | Member
    | Call
    | Unary
    | Binary
    | Assign
    | Conditional
    | Function
    | Object
    | Array
    | Declaration
    | If
    | Loop
    | Return
    | Throw
    | Try
    | Switch
    | Jump
    | Block
)


class NotRead(Exception):
    """A script that is not in the language that is read here. ``at`` is the offset in it."""

    def __init__(self, text: str, at: int) -> None:
        self.text = text
        self.at = at
        super().__init__(text)
