"""Parts of mappings that several share: `include` takes the part of the same name out of a fragment's file.

`set: {include: observation-value}` takes the fragment's `set`, `let: {include: ...}` its `let`. What the
mapping says itself goes before what a fragment says. Everything keeps the place where it stands.
"""

from __future__ import annotations

from typing import Final

from bridge.located import Mapping, Node, Scalar, Sequence, did_you_mean
from bridge.mapping.companions import Companions, fragment_file, included
from bridge.mapping.document import Report, open_mapping

INCLUDES_MAX_LEVELS: Final = 8
PARTS: Final = ("tables", "let", "set", "ignore")
"""What a fragment may have, and where `include` may stand."""


def expanded(tree: Mapping, companions: Companions, report: Report) -> Mapping:
    """A mapping file with the parts of fragments in the place of each `include`."""
    return _Expansion(companions, report).mapping(tree, ())


class _Expansion:
    def __init__(self, companions: Companions, report: Report) -> None:
        self._companions = companions
        self._report = report

    def mapping(self, node: Mapping, chain: tuple[str, ...]) -> Mapping:
        entries = [(key, self._value(key.text, value, chain)) for key, value in node.entries]
        return Mapping(tuple(entries), node.place)

    def _value(self, name: str, node: Node, chain: tuple[str, ...]) -> Node:
        if name == "tests":
            return node
        if isinstance(node, Sequence):
            items: list[Node] = []
            for each in node.items:
                if name == "ignore" and isinstance(each, Mapping) and each.key("include") is not None:
                    for part in self._parts(name, each, chain):
                        items += part.items if isinstance(part, Sequence) else ()
                else:
                    items.append(self._value("", each, chain))
            return Sequence(tuple(items), node.place)
        if not isinstance(node, Mapping):
            return node
        if name not in PARTS or node.key("include") is None:
            return self.mapping(node, chain)
        own = Mapping(tuple(each for each in node.entries if each[0].text != "include"), node.place)
        entries = list(self.mapping(own, chain).entries)
        seen = {key.text for key, _ in entries}
        taken: set[str] = set()
        for part in self._parts(name, node, chain):
            for key, value in part.entries if isinstance(part, Mapping) else ():
                if key.text in taken:
                    self._report.add(key.place, "E222", f"{key.text!r} stands in two included fragments")
                elif key.text not in seen:
                    entries.append((key, value))
                taken.add(key.text)
        return Mapping(tuple(entries), node.place)

    def _parts(self, name: str, node: Mapping, chain: tuple[str, ...]) -> list[Node]:
        """The parts of that name of the included fragments."""
        named = node.get("include")
        assert named is not None
        scalars = included(named)
        if not scalars:
            self._report.add(named.place, "E204", "include takes the name of a fragment, or several")
        parts = [self._part(name, each, chain) for each in scalars]
        return [part for part in parts if part is not None]

    def _part(self, name: str, scalar: Scalar, chain: tuple[str, ...]) -> Node | None:
        file = fragment_file(scalar.text)
        known = [key.removeprefix("fragments/").removesuffix(".yaml") for key in self._companions]
        fragments = [each for each in known if fragment_file(each) in self._companions]
        found = None if file is None else self._companions.get(file)
        if found is not None and found.tree is None:
            said = f"the fragment {scalar.text!r} cannot be read"
            self._report.add(scalar.place, "E248", said, f"see {found.shown}")
            return None
        if file is None or found is None or found.tree is None:
            hint = did_you_mean(scalar.text, fragments) or "fragments are mappings/fragments/NAME.yaml"
            self._report.add(scalar.place, "E248", f"there is no fragment {scalar.text[:60]!r}", hint)
            return None
        if file in chain or len(chain) >= INCLUDES_MAX_LEVELS:
            self._report.add(scalar.place, "E248", f"the fragment {scalar.text!r} includes itself")
            return None
        opened = open_mapping(
            found.tree, "a fragment", ("fragment", "owner", *PARTS), self._report, required=("fragment",)
        )
        if opened is None:
            return None
        if name not in opened:
            said = f"the fragment {scalar.text!r} has no {name}"
            self._report.add(scalar.place, "E248", said, f"it has: {', '.join(sorted(opened))}")
            return None
        return self._value(name, opened[name], (*chain, file))
