"""The changes of an API that are told apart, each with whether it breaks who calls as before, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

Severity = Literal["breaking", "compatible"]


class Meaning(NamedTuple):
    """Whether a change breaks, and the sentence that says why."""

    severity: Severity
    text: str


_B: Final[Severity] = "breaking"
_C: Final[Severity] = "compatible"

_SENT: Final[Mapping[str, Meaning]] = {
    "type-widened": Meaning(_C, "Every value of before is one still."),
    "type-narrowed": Meaning(_B, "Some values that were sent are not taken any more."),
    "type-changed": Meaning(_B, "What was sent is of another type than is taken now."),
    "became-nullable": Meaning(_C, "Null is taken too."),
    "became-not-nullable": Meaning(_B, "A null that was sent is not taken any more."),
    "format-set": Meaning(_B, "Texts of another format are not taken any more."),
    "format-removed": Meaning(_C, "Texts of any format are taken."),
    "format-changed": Meaning(_B, "What was sent is of another format than is taken now."),
    "became-enum": Meaning(_B, "Only listed values are taken now."),
    "enum-removed": Meaning(_C, "Any value is taken now."),
    "enum-value-removed": Meaning(_B, "A value that was sent is not taken any more."),
    "enum-value-added": Meaning(_C, "Another value is taken too."),
    "bound-set": Meaning(_B, "Values beyond the bound were sent, and are not taken any more."),
    "bound-removed": Meaning(_C, "Values beyond the bound are taken too."),
    "bound-tightened": Meaning(_B, "Values that were within are beyond the bound now."),
    "bound-loosened": Meaning(_C, "More values are within the bound."),
    "pattern-set": Meaning(_B, "Texts that do not fit are not taken any more."),
    "pattern-removed": Meaning(_C, "Any text is taken."),
    "pattern-changed": Meaning(_B, "Texts that fitted may not fit any more."),
    "default-changed": Meaning(_B, "What is left out means something else now."),
    "alternative-removed": Meaning(_B, "What was sent may be none of the alternatives any more."),
    "alternative-added": Meaning(_C, "Another alternative is taken too."),
}
"""What changes where something is sent."""
_ANSWERED: Final[Mapping[str, Meaning]] = {
    "type-widened": Meaning(_B, "Values come that were not expected."),
    "type-narrowed": Meaning(_C, "Fewer kinds of values come."),
    "type-changed": Meaning(_B, "What comes is of another type than was expected."),
    "became-nullable": Meaning(_B, "Null comes where none was expected."),
    "became-not-nullable": Meaning(_C, "No null comes any more."),
    "format-set": Meaning(_C, "What comes is of one format."),
    "format-removed": Meaning(_B, "What comes may be of any format."),
    "format-changed": Meaning(_B, "What comes is of another format than was expected."),
    "became-enum": Meaning(_C, "Only listed values come."),
    "enum-removed": Meaning(_B, "Values come that were not listed."),
    "enum-value-removed": Meaning(_C, "A value does not come any more."),
    "enum-value-added": Meaning(_B, "A value comes that was not listed."),
    "bound-set": Meaning(_C, "Fewer values come."),
    "bound-removed": Meaning(_B, "Values beyond the bound come."),
    "bound-tightened": Meaning(_C, "Fewer values come."),
    "bound-loosened": Meaning(_B, "Values come that were beyond the bound."),
    "pattern-set": Meaning(_C, "What comes fits a pattern."),
    "pattern-removed": Meaning(_B, "What comes need not fit any more."),
    "pattern-changed": Meaning(_B, "What comes fits another pattern."),
    "default-changed": Meaning(_C, "Only what is left out means something else."),
    "alternative-removed": Meaning(_C, "One alternative does not come any more."),
    "alternative-added": Meaning(_B, "An alternative comes that was not expected."),
}
"""What changes where something is answered."""


def _all() -> Iterator[tuple[str, Meaning]]:
    for rest, meaning in _SENT.items():
        yield f"request-property-{rest}", meaning
        yield f"parameter-{rest}", meaning
    for rest, meaning in _ANSWERED.items():
        yield f"answer-property-{rest}", meaning
    yield from {
        "path-removed": Meaning(_B, "Nothing answers there any more."),
        "operation-removed": Meaning(_B, "The method is not taken there any more."),
        "operation-removed-after-deprecation": Meaning(_B, "What was announced has happened."),
        "operation-added": Meaning(_C, "Nobody need call it."),
        "operation-id-changed": Meaning(_C, "Only generated code has it in its names."),
        "operation-deprecated": Meaning(_C, "It works still; ask what comes after it."),
        "operation-no-longer-deprecated": Meaning(_C, "It stays."),
        "sunset-set": Meaning(_C, "It works until then."),
        "sunset-earlier": Meaning(_B, "It ends before the day that was promised."),
        "sunset-removed": Meaning(_C, "It stays."),
        "server-removed": Meaning(_B, "Calls to that address may not be answered any more."),
        "parameter-removed": Meaning(_B, "What is sent has no effect, or is refused."),
        "parameter-moved": Meaning(_B, "It is looked for at another place of the call."),
        "parameter-became-required": Meaning(_B, "Calls without it are refused."),
        "parameter-became-optional": Meaning(_C, "Calls with it are taken as before."),
        "required-parameter-added": Meaning(_B, "Calls without it are refused."),
        "optional-parameter-added": Meaning(_C, "It need not be sent."),
        "required-body-added": Meaning(_B, "Calls without it are refused."),
        "optional-body-added": Meaning(_C, "It need not be sent."),
        "body-removed": Meaning(_B, "What is sent has no effect, or is refused."),
        "body-became-required": Meaning(_B, "Calls without it are refused."),
        "body-became-optional": Meaning(_C, "Calls with it are taken as before."),
        "body-media-type-removed": Meaning(_B, "What is sent is not read any more."),
        "body-media-type-added": Meaning(_C, "It need not be used."),
        "request-property-removed": Meaning(_C, "What is sent has no effect any more."),
        "request-property-removed-from-closed": Meaning(_B, "What is sent is refused."),
        "request-required-property-added": Meaning(_B, "Calls without it are refused."),
        "request-optional-property-added": Meaning(_C, "It need not be sent."),
        "request-property-became-required": Meaning(_B, "Calls without it are refused."),
        "request-property-became-optional": Meaning(_C, "Calls with it are taken as before."),
        "request-property-became-one-way": Meaning(_B, "What is sent has no effect, or is refused."),
        "request-property-both-ways": Meaning(_C, "It may be sent too."),
        "request-additional-properties-closed": Meaning(_B, "Further fields are refused."),
        "request-additional-properties-opened": Meaning(_C, "Further fields are taken."),
        "answer-required-property-removed": Meaning(_B, "What was always there is missing."),
        "answer-optional-property-removed": Meaning(_C, "What could be missing is missing."),
        "answer-required-property-added": Meaning(_C, "Who reads by the older document does not see it."),
        "answer-optional-property-added": Meaning(_C, "Who reads by the older document does not see it."),
        "answer-property-became-required": Meaning(_C, "It is always there."),
        "answer-property-became-optional": Meaning(_B, "What was always there may be missing."),
        "answer-property-became-one-way": Meaning(_B, "It is not answered any more."),
        "answer-property-both-ways": Meaning(_C, "It is answered too."),
        "answer-additional-properties-closed": Meaning(_C, "No further fields come."),
        "answer-additional-properties-opened": Meaning(_C, "Further fields may come, and are not seen."),
        "success-status-removed": Meaning(_B, "Success looks different from now on."),
        "success-status-added": Meaning(_B, "Success may look different from now on."),
        "error-status-removed": Meaning(_C, "One way to fail is gone."),
        "error-status-added": Meaning(_C, "Another way to fail is named."),
        "answer-media-type-removed": Meaning(_B, "What comes is not of the type that was read."),
        "answer-media-type-added": Meaning(_C, "It comes only where it is asked for."),
        "required-answer-header-removed": Meaning(_B, "What was always there is missing."),
        "optional-answer-header-removed": Meaning(_C, "What could be missing is missing."),
        "answer-header-became-optional": Meaning(_B, "What was always there may be missing."),
        "answer-header-added": Meaning(_C, "Who does not know it does not see it."),
        "security-added": Meaning(_B, "Calls that do not say who calls are refused."),
        "security-removed": Meaning(_C, "Who says it is answered as before."),
        "security-alternative-removed": Meaning(_B, "Who called this way is refused."),
        "security-alternative-added": Meaning(_C, "Who called as before is answered as before."),
        "security-scheme-removed": Meaning(_B, "Who called this way is refused."),
        "security-scheme-type-changed": Meaning(_B, "Who calls must say it in another way."),
        "scope-added": Meaning(_B, "Tokens without it are refused."),
        "scope-removed": Meaning(_C, "Tokens with it are taken as before."),
    }.items()


CHANGES: Final[Mapping[str, Meaning]] = MappingProxyType(dict(_all()))
"""Every code with its meaning."""
