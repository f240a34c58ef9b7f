"""Operators of JavaScript: sums of texts, comparisons, and the idioms that ask for something else."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from bridge.mapping.hl7_fields import COMPLEX
from bridge.migration.mirth import expressions as ex
from bridge.migration.mirth.documents import Pointer
from bridge.migration.mirth.expressions import Expr, NotConverted
from bridge.migration.mirth.js_order import as_number, ordered
from bridge.migration.mirth.js_scope import Each, Items, Pattern, Value
from bridge.migration.mirth.js_tree import Binary, Call, Constant, Member, Number, Text, Tree, Unary

EXACT: Final = "numbers are exact decimals, where JavaScript rounds"


class Operators:
    """What joins values. The values themselves are told by who derives from this."""

    def of(self, tree: Tree) -> Value:
        """The value of an expression."""
        raise NotImplementedError

    def expr(self, tree: Tree) -> Expr:
        """The value of an expression, as one of the mapping language."""
        raise NotImplementedError

    def text(self, tree: Tree) -> Expr:
        """The value of an expression as text."""
        raise NotImplementedError

    def truth(self, tree: Tree) -> Expr:
        """The value of an expression as a condition."""
        raise NotImplementedError

    def as_expr(self, value: Value, at: int) -> Expr:
        """A value as an expression."""
        raise NotImplementedError

    def binary(self, tree: Binary) -> Value:
        """Two values and an operator."""
        operator = tree.operator
        if operator == "+":
            return self._sum(tree)
        if operator in ("==", "===", "!=", "!=="):
            return self._compared(tree)
        if operator == "&&":
            return ex.both([self.truth(tree.left), self.truth(tree.right)])
        if operator == "||":
            left = self.of(tree.left)
            if isinstance(left, Expr) and left.type == "bool":
                return ex.either([left, self.truth(tree.right)])
            right = self.of(tree.right)
            if isinstance(right, Expr) and right.type == "bool" and right.constant is None:
                return ex.either([self.truth(tree.left), right])
            return ex.first_of(self.as_expr(left, tree.at), self.as_expr(right, tree.at))
        if operator in ("<", ">", "<=", ">="):
            return self._ordered(tree)
        if operator == "-":
            left, right = self._numeric(tree.left), self._numeric(tree.right)
            return ex.minus(left, right).noted(EXACT)
        if operator == "*":
            left, right = self._numeric(tree.left), self._numeric(tree.right)
            return ex.call("times", left, right, gives="number").noted(EXACT)
        raise NotConverted(f"the operator {operator}", tree.at)

    def _sum(self, tree: Binary) -> Value:
        parts: list[Tree] = []
        node: Tree = tree
        while isinstance(node, Binary) and node.operator == "+":
            parts.append(node.right)
            node = node.left
        values = [self.expr(part) for part in (node, *reversed(parts))]
        if all(each.type == "number" for each in values):
            return ex.plus(values).noted(EXACT)
        # From left to right: numbers are added until the first text.
        first = next(at for at, each in enumerate(values) if each.type != "number")
        if first > 1:
            values[:first] = [ex.plus(values[:first]).noted(EXACT)]
        return ex.join(values)

    def _compared(self, tree: Binary) -> Expr:
        operator = tree.operator[:2] if tree.operator[0] == "!" else "="
        for one, other in ((tree.left, tree.right), (tree.right, tree.left)):
            # `x != null` and `typeof x != 'undefined'` ask whether there is something.
            if isinstance(other, Constant) and other.word in ("null", "undefined"):
                value = self.of(one)
                if isinstance(value, Pointer | Expr):
                    found = self.truth(one) if isinstance(value, Pointer) else ex.negate(ex.absent(value))
                    return found if operator == "!=" else ex.negate(found)
                return ex.FALSE if operator == "=" else ex.TRUE
            if isinstance(one, Unary) and one.operator == "typeof" and isinstance(other, Text):
                found = self.truth(one.value)
                wanted = (other.value == "undefined") == (operator == "!=")
                return found if wanted else ex.negate(found)
        indexed = self._index_of(tree, operator)
        if indexed is not None:
            return indexed
        left, right = self.expr(tree.left), self.expr(tree.right)
        if tree.operator in ("===", "!==") and {left.type, right.type} == {"text", "number"}:
            return ex.FALSE if operator == "=" else ex.TRUE
        return ex.compare(operator, left, right)

    def _ordered(self, tree: Binary) -> Expr:
        indexed = self._index_of(tree, tree.operator)
        if indexed is not None:
            return indexed
        counted = self._counted(tree)
        if counted is not None:
            return counted
        return ordered(tree.operator, self.expr(tree.left), self.expr(tree.right))

    def _index_of(self, tree: Binary, operator: str) -> Expr | None:
        """``x.indexOf(y) >= 0`` and its kin: whether one text holds another, or begins with it."""
        call, number = tree.left, tree.right
        if not (
            isinstance(call, Call)
            and isinstance(call.function, Member)
            and isinstance(call.function.key, Text)
            and call.function.key.value in ("indexOf", "search")
            and len(call.arguments) == 1
        ):
            return None
        sign = -1 if isinstance(number, Unary) and number.operator == "-" else 1
        inner = number.value if isinstance(number, Unary) else number
        if not isinstance(inner, Number) or inner.text not in ("0", "1"):
            return None
        at = sign * int(inner.text)
        found = self.contains(call)
        if (operator, at) in ((">", -1), (">=", 0), ("!=", -1)):
            return found
        if (operator, at) in (("<", 0), ("=", -1)):
            return ex.negate(found)
        if (operator, at) == ("=", 0):
            return ex.call(
                "starts_with", self.text(call.function.object), self.text(call.arguments[0]), gives="bool"
            )
        return None

    def contains(self, call: Call) -> Expr:
        """Whether a text holds another, or an array has an item."""
        assert isinstance(call.function, Member), "a method is a member"
        whole, part = self.of(call.function.object), self.of(call.arguments[0])
        if isinstance(part, Pattern):
            raise NotConverted("a regular expression", call.at)
        return self.holds(whole, self.as_expr(part, call.at), call.at)

    def holds(self, whole: Value, wanted: Expr, at: int) -> Expr:
        """Whether a value holds a text."""
        if isinstance(whole, Pointer) and (components := in_components(whole, wanted)):
            places = [self.as_expr(each, at) for each in components]
            return ex.either([ex.call("contains", each, wanted, gives="bool") for each in places])
        if isinstance(whole, Items):
            if any(isinstance(item, Each) for item in whole.items):
                raise NotConverted("an array whose length is not known", at)
            known = [item for item in whole.items if not isinstance(item, Each)]
            return ex.among(wanted, [self.as_expr(item, at) for item in known])
        text = ex.as_text(self.as_expr(whole, at))
        if text.constant == "":
            return ex.FALSE
        if text.type == "text" and text.constant is not None and wanted.constant is not None:
            return ex.TRUE if str(wanted.constant) in str(text.constant) else ex.FALSE
        return ex.call("contains", text, ex.as_text(wanted), gives="bool")

    def _counted(self, tree: Binary) -> Expr | None:
        """``msg['NK1'].length() > 0`` and ``text.length > 0``: whether there is something."""
        left, right = tree.left, tree.right
        if not isinstance(right, Number) or right.text not in ("0", "1"):
            return None
        some = (tree.operator, right.text) in ((">", "0"), (">=", "1"))
        none = (tree.operator, right.text) in (("<", "1"), ("<=", "0"))
        if not some and not none:
            return None
        member = left.function if isinstance(left, Call) and not left.arguments else left
        if not (isinstance(member, Member) and isinstance(member.key, Text) and member.key.value == "length"):
            return None
        found = self.truth(member.object)
        return found if some else ex.negate(found)

    def _numeric(self, tree: Tree) -> Expr:
        return as_number(self.expr(tree))

    def unary(self, tree: Unary) -> Value:
        """An operator before a value."""
        if tree.operator == "!":
            return ex.negate(self.truth(tree.value))
        if tree.operator == "-" and isinstance(tree.value, Number):
            return ex.number(f"-{tree.value.text}")
        if tree.operator == "+":
            return self._numeric(tree.value)
        raise NotConverted(f"the operator {tree.operator}", tree.at)


def in_components(whole: Pointer, wanted: Expr) -> list[Pointer]:
    """Where to look for a word that E4X looks for in the XML of a whole field; empty: it cannot be told.

    The names of elements are in that XML too, so the word must be none that they could hold.
    """
    spot, word = whole.spot, wanted.constant
    if spot is None or not spot.field or spot.component or not isinstance(word, str) or not word.isalpha():
        return []
    if word in spot.segment or (
        (spot.segment, spot.field) in COMPLEX and (spot.segment, spot.field) != ("MSH", 9)
    ):
        return []
    count = 3 if (spot.segment, spot.field) == ("MSH", 9) else 1
    return [replace(whole, spot=replace(spot, component=number)) for number in range(1, count + 1)]
