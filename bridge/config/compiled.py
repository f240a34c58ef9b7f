"""Mappings that were compiled before, so that reading a folder again takes only what has changed."""

from __future__ import annotations

from bridge.config.environments import misplaced
from bridge.dictionary.hl7v2 import versions_of
from bridge.dictionary.hl7v2_places import beyond
from bridge.located import Mapping, Problem
from bridge.mapping.companions import Companions
from bridge.mapping.compile import compile_mapping
from bridge.mapping.plan import Plan
from bridge.mapping.selftest import failures

Result = tuple[Plan | None, tuple[Problem, ...]]


class Compiled:
    """The mappings without a mistake of one reading of a folder, for the next one. One reading at a time.

    A file counts as the same where its place and its digest (`pinned`, with all that it refers to) are. What
    the last reading did not ask for is forgotten, so that no more is kept than a folder has.
    """

    def __init__(self) -> None:
        self._before: dict[tuple[str, str], Result] = {}
        self._now: dict[tuple[str, str], Result] = {}

    def begin(self) -> None:
        """Another reading of the folder begins."""
        self._before, self._now = self._now, {}

    def mapping(self, tree: Mapping, digest: str, companions: Companions) -> Result:
        """What a mapping file comes to, and what is wrong with it; a test of it that fails is wrong too."""
        key = (tree.place.file, digest)
        found = self._before.get(key) or compiled(tree, digest, companions, test=True)
        if not any(problem.severity == "error" for problem in found[1]):
            self._now[key] = found
        return found


def compiled(tree: Mapping, digest: str, companions: Companions, *, test: bool) -> Result:
    """A mapping of a tree, and what is wrong with it: as `Compiled.mapping`, nothing being kept."""
    plan, problems = compile_mapping(
        tree, digest=digest, companions=companions, field_of=versions_of, beyond=beyond
    )
    problems += misplaced(tree)
    if plan is not None and test:
        problems += failures(plan)
    return plan, tuple(problems)
