"""What is known of an expression before it runs: whether it can be refused, and whether it gives text."""

from __future__ import annotations

from bridge.mapping.functions import FUNCTIONS
from bridge.mapping.functions.observed import NEVER_REFUSE
from bridge.mapping.lets import Lets
from bridge.mapping.syntax import (
    Among,
    Call,
    Compare,
    Expression,
    Logic,
    Name,
    Not,
    Nothing,
    Number,
    Path,
    Text,
)
from bridge.mapping.values import Type


def is_text(node: Expression, lets: Lets) -> bool:
    """Whether a part of a key is text where it is there, and no list or number."""
    match node:
        case Path():
            return None not in (node.repetition, node.which)
        case Text():
            return True
        case Name(name=name):
            return name in lets.found and lets.found[name].type is Type.TEXT
        case Call(name="first_of", arguments=arguments):
            return all(is_text(each, lets) for each in arguments)
        case Call(name=name):
            return FUNCTIONS[name].result is Type.TEXT
        case _:
            return False


def is_total(node: Expression, lets: Lets) -> bool:
    """Whether an expression can neither be refused nor note anything."""
    match node:
        case Path():
            plain = node.repetition == 1 and "(" not in node.text and node.subcomponent is None
            plain = plain and not node.whole
            return plain and not (node.segment in ("MSH", "BHS", "FHS") and node.field <= 2)
        case Text() | Number() | Nothing():
            return True
        case Name(name=name):
            let = lets.found.get(name)
            return let is None or all(is_total(tree, lets) for tree in let.trees)
        case Compare(operator="=" | "!=", left=left, right=Text(value=value)):
            return bool(value) and is_total(left, lets)
        case Among(value=value_node, options=tuple() as options):
            return all(isinstance(each, Text) for each in options) and is_total(value_node, lets)
        case Logic(parts=parts):
            return all(is_total(part, lets) for part in parts)
        case Not(part=part):
            return is_total(part, lets)
        case Call(name=name, arguments=arguments) if name in NEVER_REFUSE:
            return all(is_total(each, lets) for each in arguments)
        case Call(name="first_of" | "if" | "absent" | "is_null" | "present", arguments=arguments):
            return all(is_total(each, lets) for each in arguments)
        case _:
            return False
