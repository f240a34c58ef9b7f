"""What a person decides about bundles."""

from __future__ import annotations

from typing import Final

from bridge.journal.bundles import RETIRE, Retire, known
from bridge.runtime.parts import Parts
from bridge.runtime.refused import Refused, Said, wanted_reason

NAMED_MIN_CHARACTERS: Final = 8


async def retire_bundle(parts: Parts, actor: str, arguments: Said) -> Said:
    """Let a bundle never run again. Raises Refused where it runs, or is not known."""
    wanted, reason = str(arguments.get("bundle", "")), wanted_reason(arguments)
    bundles = (await parts.journal.read(known)).bundles
    found = [
        digest for digest in bundles if len(wanted) >= NAMED_MIN_CHARACTERS and digest.startswith(wanted)
    ]
    if len(found) != 1:
        raise Refused(f"this journal knows no bundle {wanted[:64]!r}; `bridge bundle list` shows them", 2)
    why_not = await parts.journal.submit(RETIRE, Retire(found[0], actor, reason, parts.world.now_us()))
    if why_not:
        raise Refused(why_not)
    return {"done": f"bundle {found[0][:12]} is retired: it never runs again"}
