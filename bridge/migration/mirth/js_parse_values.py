"""Values and operators of JavaScript become a tree, by binding powers."""

from __future__ import annotations

import re
from typing import Final

from bridge.migration.mirth.js_lex import Token, tokens, unescaped
from bridge.migration.mirth.js_tree import (
    Array,
    Assign,
    Binary,
    Call,
    Conditional,
    Constant,
    Function,
    Member,
    Name,
    NotRead,
    Number,
    Object,
    Regex,
    Return,
    Text,
    Tree,
    Unary,
    Xml,
)

NESTING_MAX_LEVELS: Final = 60
CHAIN_MAX_LINKS: Final = 200
"""Of one expression: calls and members after each other, or signs of one kind; each is a level of it."""
_BINARY: Final = {
    "||": 1,
    "&&": 2,
    "|": 3,
    "^": 4,
    "&": 5,
    "==": 6,
    "!=": 6,
    "===": 6,
    "!==": 6,
    "<": 7,
    ">": 7,
    "<=": 7,
    ">=": 7,
    "instanceof": 7,
    "in": 7,
    "<<": 8,
    ">>": 8,
    ">>>": 8,
    "+": 9,
    "-": 9,
    "*": 10,
    "/": 10,
    "%": 10,
}
_HOLES: Final = re.compile(r"\$\{([^{}]*)\}")
_ASSIGNMENTS: Final = frozenset("= += -= *= /= %= <<= >>= >>>= &= |= ^=".split())
_UNARY: Final = frozenset(("!", "-", "+", "~", "typeof", "void", "delete"))


class ValueParser:
    """Reads values; what stands in a function's braces is read by who knows statements."""

    def __init__(self, found: list[Token]) -> None:
        self._tokens = found
        self._at = 0
        self._level = 0
        self._no_in = False

    @property
    def here(self) -> Token:
        return self._tokens[self._at]

    def function(self) -> Function:
        """A function, with its word."""
        raise NotImplementedError

    # Values

    def expression(self) -> Tree:
        left = self._assignment()
        while self._is(","):
            at = self._next().at
            left = Binary(",", left, self._assignment(), at)
        return left

    def _assignment(self) -> Tree:
        self._deeper()
        try:
            if (self.here.kind == "name" or self._is("(")) and (arrow := self._arrow()) is not None:
                return arrow
            left = self._conditional()
            token = self.here
            if token.kind == "sign" and token.text in _ASSIGNMENTS:
                if not isinstance(left, Name | Member):
                    raise NotRead("an assignment to what is no place", token.at)
                self._next()
                return Assign(token.text, left, self._assignment(), token.at)
            return left
        finally:
            self._level -= 1

    def _conditional(self) -> Tree:
        condition = self._binary(0)
        if not self._is("?"):
            return condition
        at = self._next().at
        then = self._assignment()
        self._expect(":")
        return Conditional(condition, then, self._assignment(), at)

    def _binary(self, power: int) -> Tree:
        left = self._unary()
        links = 0
        while True:
            token = self.here
            links += 1
            self._short(links)
            binds = _BINARY.get(token.text, 0) if token.kind in ("sign", "word") else 0
            if binds <= power or (token.text == "in" and self._no_in):
                return left
            self._next()
            self._deeper()
            left = Binary(token.text, left, self._binary(binds), token.at)
            self._level -= 1

    def _unary(self) -> Tree:
        token = self.here
        if (token.kind == "sign" and token.text in _UNARY) or (token.kind == "word" and token.text in _UNARY):
            self._next()
            self._deeper()
            value = Unary(token.text, self._unary(), token.at)
            self._level -= 1
            return value
        if token.text in ("++", "--") and token.kind == "sign":
            self._next()
            return Assign(token.text[0] + "=", self._postfix(), Number("1", token.at), token.at)
        value_of = self._postfix()
        here = self.here
        if here.kind == "sign" and here.text in ("++", "--") and not here.line:
            self._next()
            return Assign(here.text[0] + "=", value_of, Number("1", here.at), here.at)
        return value_of

    def _postfix(self) -> Tree:
        tree = self._primary()
        links = 0
        while True:
            token = self.here
            links += 1
            self._short(links)
            if token.kind != "sign":
                return tree
            if token.text in (".", ".."):
                self._next()
                tree = self._member(tree, token)
            elif token.text == "[":
                self._next()
                key = self._without_limits()
                self._expect("]")
                tree = Member(tree, key, token.at)
            elif token.text == "(":
                tree = Call(tree, self._arguments(), token.at)
            else:
                return tree

    def _member(self, tree: Tree, token: Token) -> Tree:
        attribute = False
        if self._is("@"):
            self._next()
            attribute = True
        if self._is("("):
            raise NotRead("a filter of E4X, .( )", self.here.at)
        if self._is("*"):
            self._next()
            return Member(tree, Text("*", token.at), token.at, attribute, token.text == "..")
        name = self.here
        if name.kind not in ("name", "word"):
            raise NotRead("a name was expected after the dot", name.at)
        self._next()
        return Member(tree, Text(name.text, name.at), token.at, attribute, token.text == "..")

    def _arguments(self) -> tuple[Tree, ...]:
        self._expect("(")
        found: list[Tree] = []
        before, self._no_in = self._no_in, False
        while not self._is(")"):
            found.append(self._assignment())
            if not self._is(","):
                break
            self._next()
        self._no_in = before
        self._expect(")")
        return tuple(found)

    def _primary(self) -> Tree:  # noqa: PLR0912 - one row for each kind of literal
        token = self.here
        match token.kind:
            case "name":
                self._next()
                return Name(token.text, token.at)
            case "text":
                self._next()
                return Text(token.text, token.at)
            case "number":
                self._next()
                return Number(token.text, token.at)
            case "regex":
                self._next()
                return Regex(token.text, token.flags, token.at)
            case "template":
                self._next()
                return self._template(token)
            case "xml":
                self._next()
                return Xml(token.at)
            case "word":
                if token.text in ("true", "false", "null", "undefined"):
                    self._next()
                    return Constant(token.text, token.at)
                if token.text in ("this", "each", "of"):
                    self._next()
                    return Name(token.text, token.at)
                if token.text == "function":
                    return self.function()
                if token.text == "new":
                    self._deeper()
                    made = self._new()
                    self._level -= 1
                    return made
            case "sign":
                if token.text == "(":
                    return self._parenthesis()
                if token.text == "[":
                    return self._array()
                if token.text == "{":
                    return self._object()
        said = f"unexpected {token.text[:20]!r}" if token.text else "the script ends too early"
        raise NotRead(said, token.at)

    def _new(self) -> Tree:
        at = self._next().at
        tree = self._primary()
        while self.here.kind == "sign" and self.here.text in (".", "["):
            token = self._next()
            if token.text == ".":
                tree = self._member(tree, token)
            else:
                key = self._without_limits()
                self._expect("]")
                tree = Member(tree, key, token.at)
        return Call(tree, self._arguments() if self._is("(") else (), at, new=True)

    def _array(self) -> Array:
        at = self._next().at
        items: list[Tree] = []
        while not self._is("]"):
            if self._is(","):
                self._next()
                continue
            items.append(self._assignment())
        self._next()
        return Array(tuple(items), at)

    def _object(self) -> Object:
        at = self._next().at
        entries: list[tuple[str, Tree]] = []
        while not self._is("}"):
            key = self._next()
            if key.kind not in ("name", "word", "text", "number"):
                raise NotRead("the name of a property was expected", key.at)
            self._expect(":")
            entries.append((key.text, self._assignment()))
            if not self._is("}"):
                self._expect(",")
        self._next()
        return Object(tuple(entries), at)

    def _template(self, token: Token) -> Tree:
        r"""``\`a${b}c\``` is ``'a' + b + 'c'``."""
        tree: Tree = Text("", token.at)
        for number, piece in enumerate(_HOLES.split(token.text)):
            if number % 2 == 0:
                if "${" in piece:
                    raise NotRead("a template string with braces in its braces", token.at)
                part: Tree = Text(unescaped(piece), token.at)
            else:
                part = type(self)(tokens(piece))._inside()
            self._short(number)
            tree = Binary("+", tree, part, token.at)
        return tree

    def _inside(self) -> Tree:
        tree = self.expression()
        if self.here.kind != "end":
            raise NotRead(f"unexpected {self.here.text[:20]!r}", self.here.at)
        return tree

    def _arrow(self) -> Function | None:
        """``(a, b) => x`` and ``a => { ... }``; None where it is none, and nothing was read."""
        at, names = self._at, list[str]()
        if self.here.kind == "name":
            names.append(self._next().text)
        elif self._is("("):
            self._next()
            while self.here.kind == "name":
                names.append(self._next().text)
                if not self._is(","):
                    break
                self._next()
            if not self._is(")"):
                self._at = at
                return None
            self._next()
        if not self._is("=>"):
            self._at = at
            return None
        place = self._next().at
        if self._is("{"):
            return Function("", tuple(names), self.braces(), place)
        return Function("", tuple(names), (Return(self._assignment(), place),), place)

    def braces(self) -> tuple[Tree, ...]:
        """The statements in braces."""
        raise NotImplementedError

    def _parenthesis(self) -> Tree:
        self._expect("(")
        tree = self._without_limits()
        self._expect(")")
        return tree

    def _without_limits(self) -> Tree:
        before, self._no_in = self._no_in, False
        tree = self.expression()
        self._no_in = before
        return tree

    # Tokens

    def _is(self, sign: str) -> bool:
        return self.here.kind == "sign" and self.here.text == sign

    def _next(self) -> Token:
        token = self.here
        if token.kind == "end":
            raise NotRead("the script ends too early", token.at)
        self._at += 1
        return token

    def _expect(self, sign: str) -> None:
        if not self._is(sign):
            found = self.here.text[:20] or "the end"
            raise NotRead(f"{sign!r} was expected, not {found!r}", self.here.at)
        self._next()

    def _word(self, word: str) -> None:
        if self.here.text != word:
            raise NotRead(f"{word!r} was expected", self.here.at)
        self._next()

    def _name(self) -> str:
        token = self._next()
        if token.kind != "name" and token.text not in ("each", "of"):
            raise NotRead("a name was expected", token.at)
        return token.text

    def _at_end_of_statement(self) -> bool:
        return self._is(";") or self._is("}") or self.here.line or self.here.kind == "end"

    def _end(self) -> None:
        if self._is(";"):
            self._next()
        elif not self._at_end_of_statement():
            raise NotRead(f"unexpected {self.here.text[:20]!r}", self.here.at)

    def _short(self, links: int) -> None:
        if links > CHAIN_MAX_LINKS:
            raise NotRead(f"an expression of more than {CHAIN_MAX_LINKS} links", self.here.at)

    def _deeper(self) -> None:
        self._level += 1
        if self._level > NESTING_MAX_LEVELS:
            raise NotRead(f"nested more than {NESTING_MAX_LEVELS} levels deep", self.here.at)
