"""JavaScript of the old engine (ES5 and E4X, as Rhino reads it) becomes a tree. It is never run."""

from __future__ import annotations

from bridge.migration.mirth.js_lex import tokens
from bridge.migration.mirth.js_parse_values import ValueParser
from bridge.migration.mirth.js_tree import (
    Block,
    Declaration,
    Function,
    If,
    Jump,
    Loop,
    Name,
    NotRead,
    Return,
    Switch,
    Throw,
    Tree,
    Try,
)


def parse(script: str) -> tuple[Tree, ...]:
    """The statements of a script. Raises NotRead at the first thing that cannot be read."""
    parser = _Parser(tokens(script))
    found: list[Tree] = []
    while parser.here.kind != "end":
        found += parser.statement()
    return tuple(found)


class _Parser(ValueParser):
    def statement(self) -> tuple[Tree, ...]:
        self._deeper()
        try:
            return self._statement()
        finally:
            self._level -= 1

    def _statement(self) -> tuple[Tree, ...]:  # noqa: PLR0912 - a table of words
        token = self.here
        if self._is(";"):
            self._next()
            return ()
        if self._is("{"):
            return (Block(self.braces(), token.at),)
        if token.kind == "word":
            match token.text:
                case "var" | "let" | "const":
                    declaration = self._declaration()
                    self._end()
                    return (declaration,)
                case "function" if self._tokens[self._at + 1].kind == "name":
                    return (self.function(),)
                case "if":
                    return (self._if(),)
                case "for":
                    return (self._for(),)
                case "while":
                    self._next()
                    test = self._parenthesis()
                    return (Loop("while", "", None, test, self.statement(), token.at),)
                case "do":
                    self._next()
                    body = self.statement()
                    self._word("while")
                    test = self._parenthesis()
                    self._end()
                    return (Loop("do", "", None, test, body, token.at),)
                case "return":
                    self._next()
                    value = None if self._at_end_of_statement() else self.expression()
                    self._end()
                    return (Return(value, token.at),)
                case "throw":
                    self._next()
                    thrown = self.expression()
                    self._end()
                    return (Throw(thrown, token.at),)
                case "try":
                    return (self._try(),)
                case "switch":
                    return (self._switch(),)
                case "break" | "continue":
                    self._next()
                    self._end()
                    return (Jump(token.text, token.at),)
        value = self.expression()
        self._end()
        return (value,)

    def braces(self) -> tuple[Tree, ...]:
        """The statements in braces."""
        self._expect("{")
        found: list[Tree] = []
        while not self._is("}"):
            if self.here.kind == "end":
                raise NotRead("a brace that is not closed", self.here.at)
            found += self.statement()
        self._next()
        return tuple(found)

    def _declaration(self) -> Declaration:
        word = self._next()
        names: list[tuple[str, Tree | None]] = []
        while True:
            name = self._name()
            value: Tree | None = None
            if self._is("="):
                self._next()
                value = self._assignment()
            names.append((name, value))
            if not self._is(","):
                return Declaration(tuple(names), word.at, word.text)
            self._next()

    def function(self) -> Function:
        """A function, with its word."""
        at = self._next().at
        name = self._next().text if self.here.kind == "name" else ""
        self._expect("(")
        parameters: list[str] = []
        while not self._is(")"):
            parameters.append(self._name())
            if self._is(","):
                self._next()
        self._next()
        return Function(name, tuple(parameters), self.braces(), at)

    def _if(self) -> If:
        at = self._next().at
        condition = self._parenthesis()
        then = self.statement()
        otherwise: tuple[Tree, ...] = ()
        if self.here.kind == "word" and self.here.text == "else":
            self._next()
            otherwise = self.statement()
        return If(condition, _flat(then), _flat(otherwise), at)

    def _for(self) -> Loop:
        at = self._next().at
        kind = "in"
        if self.here.text == "each":
            kind = "each"
            self._next()
        self._expect("(")
        start: Tree | None = None
        name = ""
        if not self._is(";"):
            self._no_in = True
            if self.here.kind == "word" and self.here.text in ("var", "let", "const"):
                start = self._declaration()
                name = start.names[0][0]
            else:
                start = self.expression()
                name = start.name if isinstance(start, Name) else ""
            self._no_in = False
            if self.here.text in ("in", "of"):
                kind = "each" if self.here.text == "of" else kind
                self._next()
                over = self.expression()
                self._expect(")")
                return Loop(kind, name, over, None, _flat(self.statement()), at)
        self._expect(";")
        test = None if self._is(";") else self.expression()
        self._expect(";")
        step = None if self._is(")") else self.expression()
        self._expect(")")
        return Loop("for", name, None, test, _flat(self.statement()), at, start, step)

    def _try(self) -> Try:
        at = self._next().at
        body = self.braces()
        handler: tuple[Tree, ...] = ()
        final: tuple[Tree, ...] = ()
        if self.here.text == "catch":
            self._next()
            if self._is("("):
                self._next()
                self._name()
                self._expect(")")
            handler = self.braces()
        if self.here.text == "finally":
            self._next()
            final = self.braces()
        return Try(body, handler, final, at)

    def _switch(self) -> Switch:
        at = self._next().at
        value = self._parenthesis()
        self._expect("{")
        cases: list[tuple[Tree | None, tuple[Tree, ...]]] = []
        while not self._is("}"):
            label: Tree | None = None
            if self.here.text == "case":
                self._next()
                label = self.expression()
            else:
                self._word("default")
            self._expect(":")
            body: list[Tree] = []
            while not self._is("}") and self.here.text not in ("case", "default"):
                if self.here.kind == "end":
                    raise NotRead("a brace that is not closed", self.here.at)
                body += self.statement()
            cases.append((label, tuple(body)))
        self._next()
        return Switch(value, tuple(cases), at)


def _flat(statements: tuple[Tree, ...]) -> tuple[Tree, ...]:
    """The statements of a block, where the only statement is one."""
    if len(statements) == 1 and isinstance(statements[0], Block):
        return statements[0].body
    return statements
