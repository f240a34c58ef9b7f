"""The one order of all policies, how what they said is kept, and whether nothing was left out. Pure.

What policies said of a request or an attempt is a short text: a letter for each that was asked, in order, and
where one stopped it, its reason: ``plcmvLbkra`` or ``plc!label-exceeds-route``. The letters are those of
`ORDER`. Who asks a policy adds its letter, and nobody else; so a policy that was left out of a build is
missing in the text, and `left_out` sees it.

Some steps are asked only of APIs whose file declares them. The text of a request, and that of an attempt,
then begins with their letters in brackets, ``(x)plcmvx``, written from the API's file of that moment, and not
by who asks the step. So one that was declared and not asked is missing too, and an API that declares none is
held to none. What a policy let through and somebody should know of stands behind its letter, as in
``Q[consent-unknown]``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

STOPPED: Final = "!"
BEGIN_DECLARED, END_DECLARED = "()"
_BESIDE: Final = re.compile(r"\(([^()]*)\)|\[([^\[\]]*)\]")
"""What stands in the text beside letters: steps that are declared, or a reason to take notice."""


@dataclass(frozen=True, slots=True)
class Step:
    """One policy of the order. ``when`` it is asked: as a request is made, or at each attempt to send it.

    One that is not asked ``always`` is asked of APIs whose file has its key.
    """

    letter: str
    name: str
    when: Literal["request", "attempt"]
    text: str
    always: bool = True


ORDER: Final[tuple[Step, ...]] = (
    Step("p", "pin", "request", "the mapping and the API's file are those of now, by digest"),
    Step("l", "lifecycle", "request", "the API is one that may still be sent to"),
    Step("c", "classify", "request", "no label of the record is above what the API may carry"),
    Step("q", "consent", "request", "whose data it is, and under which label, is known", always=False),
    Step("m", "minimum_necessary", "request", "only listed fields, masked where the file says so"),
    Step("v", "validate_request", "request", "the request can be made whole, and is not too large"),
    Step("x", "contract", "request", "the request is one that the API's contract describes", always=False),
    Step("L", "lifecycle", "attempt", "the API may be called now"),
    Step("Q", "consent", "attempt", "the patient's consent lets it, by what is known now", always=False),
    Step("b", "bulkhead", "attempt", "a call slot of API and operation, and one for the key"),
    Step("k", "breaker", "attempt", "the operation is not left alone"),
    Step("r", "rate", "attempt", "no more calls than the API takes in a while"),
    Step("a", "audit_intent", "attempt", "that it is sent is on disk before a byte leaves"),
    Step("w", "newer_wins", "attempt", "the API has taken no newer state of the record", always=False),
    Step("t", "target_guard", "attempt", "the address is one of the target's own"),
    Step("i", "identity", "attempt", "the call says which delivery it is, the same at each repeat"),
    Step("u", "credential", "attempt", "the bridge can say who it is"),
    Step("s", "send", "attempt", "sent once, with its limits of time and size, and no redirect followed"),
    Step("o", "classify_response", "attempt", "what the answer means for the delivery"),
    Step("d", "drift", "attempt", "the answer is held against the API's contract", always=False),
    Step("n", "deprecation", "attempt", "what the API says of its own end is kept"),
)
"""All policies, in the order in which they are asked. That a row with these letters is in the journal is the
proof of what follows them: accounting and commit are one transaction with it.

Where this differs from an order on paper there is a reason. Intent is written once a slot, breaker and rate
let a call through, so that what waits writes nothing. The address comes before the credential, so that a
target that is none costs no token.
"""

BY_LETTER: Final[Mapping[str, Step]] = {step.letter: step for step in ORDER}
REQUEST: Final = "".join(step.letter for step in ORDER if step.when == "request" and step.always)
ATTEMPT: Final = "".join(step.letter for step in ORDER if step.when == "attempt" and step.always)
"""The letters of the steps that every request and every attempt is held to."""


NEWER_WINS: Final = "w"


def declared(letters: str) -> str:
    """What the text of an API begins with whose file declares these steps beside those of all.

    >>> declared("x"), declared("")
    ('(x)', '')
    """
    return f"{BEGIN_DECLARED}{letters}{END_DECLARED}" if letters else ""


def _parts(verdicts: str) -> tuple[str, str, str, str]:
    """The steps that were declared, those that were asked, whether one stopped it, and its reason."""
    kept, stop, reason = verdicts.partition(STOPPED)
    steps = "".join(letters for letters, _ in _BESIDE.findall(kept))
    return steps, _BESIDE.sub("", kept), stop, reason


def noticed(letter: str, reason: str) -> str:
    """What is kept of a policy that let something through of which somebody should know.

    >>> noticed("Q", "consent-unknown")
    'Q[consent-unknown]'
    """
    return f"{letter}[{reason}]"


def notices_in(verdicts: str) -> list[str]:
    """The reasons of `noticed` in what was kept."""
    return [reason for _, reason in _BESIDE.findall(verdicts) if reason]


def stopped(letter: str, reason: str) -> str:
    """What is kept of a policy that stopped something.

    >>> stopped("c", "label-exceeds-route")
    'c!label-exceeds-route'
    """
    return f"{letter}{STOPPED}{reason}"


def left_out(verdicts: str) -> str:
    """The letters that are missing or out of order in what was kept of an attempt; empty where none is.

    After the policy that stopped it, none need have been asked.

    >>> left_out("plcmvLbkratiuson"), left_out("plmvLbkratiu!auth-refused"), left_out("plcmvL")
    ('', 'c', 'bkratiuson')
    >>> left_out("(q)plcqmv(Q)LQ[why]bkratiuson"), left_out("(q)plcqmv(Q)Lbkratiuson")
    ('', 'Q')
    """
    steps, asked, stop, _ = _parts(verdicts)
    expected = "".join(step.letter for step in ORDER if step.always or step.letter in steps)
    if stop and asked[-1:] in expected:
        expected = expected[: expected.index(asked[-1]) + 1] if asked else expected
    missing, place = [], 0
    for letter in expected:
        if asked[place : place + 1] == letter:
            place += 1
        else:
            missing.append(letter)
    return "".join(missing) or asked[place:]


def in_words(verdicts: str) -> str:
    """What was kept, for a person: the last policy that was asked, or the one that stopped it and why.

    >>> in_words("plc!label-exceeds-route")
    'stopped by classify: label-exceeds-route'
    """
    _, asked, stop, reason = _parts(verdicts)
    if not asked:
        return "none was asked"
    if stop:
        name = BY_LETTER[asked[-1]].name if asked[-1] in BY_LETTER else asked[-1]
        return f"stopped by {name}: {reason}"
    missing = left_out(verdicts) if asked[-1] == ORDER[-1].letter else ""
    names = ", ".join(BY_LETTER[each].name for each in missing if each in BY_LETTER)
    told = f" ({', '.join(found)})" if (found := notices_in(verdicts)) else ""
    return f"all {len(asked)} passed{told}" if not names else f"left out: {names}{told}"
