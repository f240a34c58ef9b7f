"""Tokens become an expression tree, by binding powers: `or` < `and` < `not` < comparisons < `+ -` < `|`."""

from __future__ import annotations

from typing import Final, cast

from bridge.mapping.lexer import Token, tokens
from bridge.mapping.syntax import (
    Among,
    Arithmetic,
    Call,
    Compare,
    Comparison,
    Expression,
    Logic,
    Mistake,
    Name,
    Not,
    Nothing,
    Number,
    Text,
)
from bridge.mapping.values import NESTING_MAX_LEVELS

_OR, _AND, _NOT, _COMPARE, _SUM, _PIPE = range(1, 7)
_COMPARISONS: Final = ("=", "!=", "<", ">", "<=", ">=")
_WORDS: Final = ("and", "or", "not", "in", "null")


def parse(text: str) -> Expression:
    """The tree of an expression; raises Mistake at the first thing that cannot be read."""
    parser = _Parser(tokens(text), text)
    if parser.at_end():
        raise Mistake(
            0, "E101", "an expression was expected here", "a path such as PID-5.1, a name, a 'text'"
        )
    tree = parser.expression(0)
    if not parser.at_end():
        raise parser.unexpected()
    return tree


class _Parser:
    def __init__(self, found: list[Token], text: str) -> None:
        self._tokens = found
        self._text = text
        self._at = 0
        self._level = 0

    @property
    def here(self) -> Token:
        return self._tokens[self._at]

    def at_end(self) -> bool:
        """Whether nothing is left."""
        return self.here.kind == "end"

    def expression(self, power: int) -> Expression:
        """The longest expression from here whose operators bind more tightly than ``power``."""
        before = self._level
        self._deeper()
        left = self._prefix()
        while True:
            token = self.here
            binds = _binding(token, self._tokens[self._at + 1] if token.kind != "end" else token)
            if binds <= power:
                break
            # A chain of pipes is as deep a tree as its parentheses would be.
            self._deeper()
            left = self._infix(left, token, binds)
        self._level = before
        return left

    def _infix(self, left: Expression, token: Token, binds: int) -> Expression:
        self._next()
        if token.text == "|":
            return self._piped(left)
        if binds == _COMPARE:
            return self._comparison(left, token)
        right = self.expression(binds)
        if token.text in ("+", "-"):
            return Arithmetic("+" if token.text == "+" else "-", left, right, token.offset)
        operator = "and" if token.text == "and" else "or"
        parts = [right]
        while self.here.kind == "name" and self.here.text == operator:
            self._next()
            parts.append(self.expression(binds))
        return Logic("and" if operator == "and" else "or", (left, *parts), token.offset)

    def _comparison(self, left: Expression, token: Token) -> Expression:
        if token.text in ("in", "not"):
            if token.text == "not":
                self._next()
            options = self._options()
            node: Expression = Among(left, options, token.text == "not", token.offset)
        else:
            operator = cast(Comparison, token.text)
            node = Compare(operator, left, self.expression(_COMPARE), token.offset)
        if self.here.kind == "sign" and self.here.text in _COMPARISONS:
            hint = "join two comparisons with `and`"
            raise Mistake(self.here.offset, "E104", "a comparison cannot be compared again", hint)
        return node

    def _options(self) -> tuple[Expression, ...] | Expression:
        if not self._is_sign("["):
            return self.expression(_COMPARE)
        self._next()
        return self._until("]")

    def _piped(self, left: Expression) -> Expression:
        token = self.here
        if token.kind != "name" or token.text in _WORDS:
            raise self.unexpected("a function name was expected after |")
        self._next()
        arguments: tuple[Expression, ...] = ()
        if self._is_sign("("):
            self._next()
            arguments = self._until(")")
        return Call(token.text, (left, *arguments), token.offset)

    def _prefix(self) -> Expression:
        token = self.here
        match token:
            case Token(kind="path", path=path) if path is not None:
                self._next()
                return path
            case Token(kind="member", member=member) if member is not None:
                self._next()
                return member
            case Token(kind="text"):
                self._next()
                return Text(token.text, token.offset)
            case Token(kind="number", number=number) if number is not None:
                self._next()
                return Number(number, token.offset)
            case Token(kind="name", text="null"):
                self._next()
                return Nothing(token.offset)
            case Token(kind="name", text="not"):
                self._next()
                return Not(self.expression(_NOT), token.offset)
            case Token(kind="name") if token.text not in _WORDS:
                return self._name(token)
            case Token(kind="sign", text="("):
                self._next()
                inner = self.expression(0)
                self._expect(")")
                return inner
            case Token(kind="sign", text="-"):
                return self._negative(token)
            case Token(kind="sign", text="["):
                hint = "alternatives are a YAML list, from: [PV1-44, EVN-2], or first_of(...)"
                raise Mistake(token.offset, "E104", "a list can only stand after `in`", hint)
            case _:
                raise self.unexpected()

    def _name(self, token: Token) -> Expression:
        self._next()
        if self._is_sign("(") and self.here.offset == token.offset + len(token.text):
            self._next()
            return Call(token.text, self._until(")"), token.offset)
        end = token.offset + len(token.text)
        return Name(token.text, token.offset, self._text[end : end + 2])

    def _negative(self, token: Token) -> Expression:
        self._next()
        number = self.here
        if number.number is None:
            raise self.unexpected("a number was expected after this minus")
        self._next()
        return Number(-number.number, token.offset)

    def _until(self, closing: str) -> tuple[Expression, ...]:
        found: list[Expression] = []
        if self._is_sign(closing):
            self._next()
            return ()
        while True:
            found.append(self.expression(0))
            if self._is_sign(","):
                self._next()
                continue
            self._expect(closing)
            return tuple(found)

    def _is_sign(self, text: str) -> bool:
        return self.here.kind == "sign" and self.here.text == text

    def _expect(self, sign: str) -> None:
        if not self._is_sign(sign):
            raise self.unexpected(f"{sign!r} was expected")
        self._next()

    def _next(self) -> None:
        self._at += 1

    def _deeper(self) -> None:
        self._level += 1
        if self._level > NESTING_MAX_LEVELS:
            hint = "give parts of it a name under `let`"
            raise Mistake(
                self.here.offset, "E103", f"nested more than {NESTING_MAX_LEVELS} levels deep", hint
            )

    def unexpected(self, expected: str | None = None) -> Mistake:
        """What to say about the token that stands here."""
        token = self.here
        if token.kind == "end":
            return Mistake(token.offset, "E101", expected or "the expression ends too early")
        if token.text == "[":
            hint: str | None = "a list can only stand after `in`"
        elif token.kind in ("name", "path", "member", "text", "number") and not expected:
            hint = "join two expressions with join(' ', a, b); functions follow a |"
        else:
            hint = None
        found = f"unexpected {token.text!r}"
        return Mistake(token.offset, "E104", f"{expected}, not {token.text!r}" if expected else found, hint)


def _binding(token: Token, following: Token) -> int:
    """How tightly the operator ``token`` binds; 0 where it is none."""
    if token.kind == "name":
        if token.text == "not":
            return _COMPARE if following.kind == "name" and following.text == "in" else 0
        return {"or": _OR, "and": _AND, "in": _COMPARE}.get(token.text, 0)
    if token.kind == "sign":
        if token.text in _COMPARISONS:
            return _COMPARE
        return {"+": _SUM, "-": _SUM, "|": _PIPE}.get(token.text, 0)
    return 0
