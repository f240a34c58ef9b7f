"""Texts of JavaScript: parts of them, what is replaced in them, patterns; and the old engine's dates."""

from __future__ import annotations

import re
from typing import Final

from bridge.migration.mirth import expressions as ex
from bridge.migration.mirth.expressions import Expr, NotConverted
from bridge.migration.mirth.js_scope import Groups, Pattern, Value
from bridge.migration.mirth.js_tree import Call, Member, Name, Number, Text, Unary
from bridge.migration.mirth.js_values import Values

UNCHECKED: Final = "what is no time by the pattern is put in order all the same, where the old engine failed"
_LITERAL: Final = re.compile(r"(?:\\[-/.()\[\]{}*+?|^$\\]|[^\\.()\[\]{}*+?|^$])+")


def substring(values: Values, name: str, text: Expr, call: Call) -> Expr:
    """``substring``, ``substr`` and ``slice``."""
    before = _up_to_sign(values, call)
    if before is not None:
        return before
    numbers: list[int] = []
    for argument in call.arguments:
        if isinstance(argument, Unary) and argument.operator == "-" and isinstance(argument.value, Number):
            if name != ".slice" or len(call.arguments) > 1 or not argument.value.text.isdecimal():
                raise NotConverted("a part of a text that is counted from its end", call.at)
            return ex.call("right", text, ex.number(argument.value.text))
        constant = values.expr(argument).constant
        if not isinstance(constant, str) or not constant.isdecimal():
            raise NotConverted("a part of a text with computed ends", call.at)
        numbers.append(int(constant[:6]))
    if not numbers:
        return text
    start = numbers[0]
    if len(numbers) == 1:
        return text if start == 0 else ex.call("substr", text, ex.number(str(start + 1)))
    length = numbers[1] if name == ".substr" else numbers[1] - start
    if length <= 0:
        raise NotConverted("a part of a text that ends before it begins", call.at)
    if start == 0:
        return ex.call("left", text, ex.number(str(length)))
    return ex.call("substr", text, ex.number(str(start + 1)), ex.number(str(length)))


def _up_to_sign(values: Values, call: Call) -> Expr | None:
    """``x.substring(0, x.indexOf(sign))``: what stands before a sign."""
    match call:
        case Call(
            Member(whole, _),
            (Number("0"), Call(Member(Name(name), Text("indexOf")), (sign,))),
        ) if isinstance(whole, Name) and whole.name == name:
            text, wanted = values.text(whole), values.text(sign)
            if isinstance(wanted.constant, str) and wanted.constant:
                first = ex.call("first", ex.call("split", text, wanted, gives="list"))
                return ex.choose(ex.call("contains", text, wanted, gives="bool"), first, ex.NOTHING)
    return None


def replaced(values: Values, name: str, text: Expr, call: Call) -> Expr:
    """``replace`` and ``replaceAll``."""
    what, by = values.of(call.arguments[0]), values.expr(call.arguments[1])
    if isinstance(what, Pattern):
        if not isinstance(by.constant, str):
            raise NotConverted("a pattern that is replaced by a computed text", call.at)
        return by_pattern(text, what.pattern, by.constant, call.at, every="g" in what.flags)
    old = values.as_expr(what, call.at)
    note = () if name == ".replaceAll" else ("every occurrence is replaced, where replace() takes the first",)
    return _replace(text, ex.as_text(old), by).noted(*note)


def _replace(text: Expr, old: Expr, new: Expr) -> Expr:
    new = ex.Expr("''", "''", "text") if new.constant == "" else ex.as_text(new)
    return ex.call("replace", text, old, new)


def by_pattern(text: Expr, pattern: str, new: str, at: int, *, every: bool) -> Expr:
    """A text in which what a pattern finds is replaced, where one of our functions does just that."""
    if "$" in new or (not every and pattern not in ("^0+", "^0*", r"^\s+|\s+$")):
        if not every and _LITERAL.fullmatch(pattern) and "$" not in new:
            made = by_pattern(text, pattern, new, at, every=True)
            return made.noted("every occurrence is replaced, where replace() takes the first")
        raise NotConverted(f"the pattern /{pattern[:60]}/", at)
    if new == "" and pattern in (r"\D", r"[^0-9]", r"[^\d]", r"\D+", r"[^0-9]+", r"[^\d]+"):
        return ex.call("digits", text)
    if new == "" and pattern in (r"[^a-zA-Z]", r"[^A-Za-z]", r"[^a-zA-Z]+", r"[^A-Za-z]+"):
        return ex.call("letters", text).noted("letters of every script are kept")
    if new == "" and pattern in ("^0+", "^0*"):
        return ex.call("strip_zeros", text).noted("of a text of zeros alone one zero is left")
    if new == "" and pattern in (r"^\s+|\s+$", r"^\s*|\s*$"):
        return ex.call("trim", text)
    if new == " " and pattern in (r"\s+", r"\s\s+", r"\s{2,}"):
        return ex.call("normalize_space", text).noted("blanks at both ends go as well")
    if _LITERAL.fullmatch(pattern):
        return _replace(text, ex.literal(re.sub(r"\\(.)", r"\1", pattern), at), ex.literal(new, at))
    raise NotConverted(f"the pattern /{pattern[:60]}/", at)


def tested(pattern: Pattern, text: Expr, at: int) -> Expr:
    """``pattern.test(text)``."""
    if not pattern.flags.strip("g"):
        if (found := re.fullmatch(r"\^\(?([A-Za-z0-9_ |-]+)\)?\$", pattern.pattern)) and (
            "|" not in found[1] or "(" in pattern.pattern
        ):
            return ex.among(text, [ex.literal(each, at) for each in found[1].split("|")])
        if _LITERAL.fullmatch(pattern.pattern):
            plain = re.sub(r"\\(.)", r"\1", pattern.pattern)
            return ex.call("contains", text, ex.literal(plain, at), gives="bool")
        if pattern.pattern.startswith("^") and _LITERAL.fullmatch(pattern.pattern[1:]):
            plain = re.sub(r"\\(.)", r"\1", pattern.pattern[1:])
            return ex.call("starts_with", text, ex.literal(plain, at), gives="bool")
    source = _re2(pattern, at)
    if source.startswith("^") and source.endswith("$") and "|" not in source:
        return ex.call("matches", text, ex.literal(source[1:-1], at), gives="bool")
    return ex.call("matches", text, ex.literal(f"(?s:.*)(?:{source})(?s:.*)", at), gives="bool")


def _re2(pattern: Pattern, at: int) -> str:
    """A pattern as RE2 writes it; what RE2 does not know is refused as the file is loaded."""
    if pattern.flags.strip("gi"):
        raise NotConverted(f"the pattern /{pattern.pattern[:60]}/{pattern.flags}", at)
    source = pattern.pattern.replace("\\/", "/")
    return f"(?i){source}" if "i" in pattern.flags else source


def matched(values: Values, text: Expr, call: Call) -> Value:
    """``x.match(pattern)``: what is found, and its groups."""
    pattern = values.of(call.arguments[0]) if call.arguments else ex.NOTHING
    if not isinstance(pattern, Pattern) or "g" in pattern.flags:
        raise NotConverted("a regular expression", call.at)
    return Groups(text, _re2(pattern, call.at))


def date(values: Values, name: str, call: Call) -> Expr:
    """What `DateUtil` gives."""
    if name == "convertDate" and len(call.arguments) == 3:
        source, target = values.expr(call.arguments[0]).constant, values.expr(call.arguments[1]).constant
        text = values.text(call.arguments[2])
        if isinstance(source, str) and isinstance(target, str):
            if source == target:
                return text
            if source.startswith(target) and set(target) <= set("yMdHmsS"):
                return ex.call("left", text, ex.number(str(len(target))))
            pattern = _strptime(source)
            if pattern is not None and target == "yyyy-MM-dd":
                return ex.call("date_fmt", text, ex.literal(pattern))
            if pattern is not None and target == "yyyyMMdd":
                iso = ex.call("date_fmt", text, ex.literal(pattern))
                return ex.call("replace", iso, ex.literal("-"), ex.Expr("''", "''", "text"))
            pieces = _reordered(source, target, text)
            if pieces is not None:
                return ex.join(pieces).noted(UNCHECKED)
    raise NotConverted(f"DateUtil.{name[:40]} with these patterns", call.at)


def _reordered(source: str, target: str, text: Expr) -> list[Expr] | None:
    """A time in another order, by where each of its numbers stands; None where one is not of fixed width."""
    places: dict[str, tuple[int, int]] = {}
    for run in re.finditer(r"(yyyy|MM|dd|HH|mm|ss|SSS)|[A-Za-z]+", source):
        if run[1] is None or run[1] in places:
            return None
        places[run[1]] = (run.start(), len(run[1]))
    if "'" in source:
        return None
    found: list[Expr] = []
    for part in re.finditer(r"'([^']*)'|(yyyy|MM|dd|HH|mm|ss|SSS|yy)|([A-Za-z]+)|([^A-Za-z']+)", target):
        if part[3] is not None:
            return None
        if part[2] is None:
            found.append(ex.literal(part[1] if part[1] is not None else part[4]))
            continue
        place = places.get(part[2])
        if place is None and part[2] == "yy" and "yyyy" in places:
            place = (places["yyyy"][0] + 2, 2)
        if place is None:
            return None
        start, length = place
        found.append(ex.call("substr", text, ex.number(str(start + 1)), ex.number(str(length))))
    return found


def _strptime(pattern: str) -> str | None:
    found = pattern
    for java, ours in (("yyyy", "%Y"), ("MM", "%m"), ("dd", "%d"), ("HH", "%H"), ("mm", "%M"), ("ss", "%S")):
        found = found.replace(java, ours, 1)
    return None if re.search(r"(?<!%)[A-Za-z]", found) else found
