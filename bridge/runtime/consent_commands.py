"""What a person asks of consent: what is decided for a patient, and that data go to an API all the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, get_args

from bridge.canonical.records import RECORDS
from bridge.governance.classify import Sensitivity
from bridge.governance.consent import ConsentPolicy, about_patients
from bridge.governance.consent_rules import Question
from bridge.journal.consents import Override
from bridge.located import did_you_mean
from bridge.runtime.parts import Parts
from bridge.runtime.refused import Refused, Said, wanted_reason

OVERRIDE_MAX_S: Final = 7 * 86_400
PATIENT_MAX_CHARACTERS: Final = 1000
LABELS: Final = (("N",), ("R",), *(("R", each) for each in get_args(Sensitivity)), ("V",))
ALL: Final = "all"


class ConsentCommands:
    """The commands about consent, by name."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.named = {"consent": self._tell, "consent-override": self._override}

    async def _tell(self, actor: str, arguments: Said) -> Said:  # noqa: ARG002 - all commands are called alike
        """What would be decided for each API that asks, for all that could be sent to it."""
        patient = _patient(arguments)
        return {
            "apis": [
                {"api": name, **_about(policy), "decisions": self._decisions(name, policy, patient)}
                for name, policy in self._asking().items()
            ],
            "sources_in_trouble": self._parts.consents.status(),
        }

    def _asking(self) -> Mapping[str, ConsentPolicy]:
        return {
            name: policy
            for name, outlet in self._parts.outlets.items()
            for policy in outlet.way.policies.asks_anew
            if isinstance(policy, ConsentPolicy)
        }

    def _decisions(self, api: str, policy: ConsentPolicy, patient: str) -> list[Said]:
        if policy.options.mode == "not_required":
            return [{"word": "permit", "reason": policy.options.basis, "by": [], "of": [ALL]}]
        consents, now_us = self._parts.consents, self._parts.world.now_us()
        purpose, recipients = policy.options.purpose, frozenset(policy.options.recipient)
        found: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
        records = [name for name in RECORDS if about_patients(name)]
        for record in records:
            for labels in LABELS:
                asked = Question(((patient,),), record, frozenset(labels), purpose, recipients)
                said = consents.decide(api, policy.options, asked, now_us)
                found.setdefault((said.word, said.reason, said.by), []).append(f"{record} {'/'.join(labels)}")
        return [
            {"word": word, "reason": reason, "by": list(by), "of": [ALL] if len(found) == 1 else _short(of)}
            for (word, reason, by), of in found.items()
        ]

    async def _override(self, actor: str, arguments: Said) -> Said:
        """Let a patient's data through to an API for a while, or no longer."""
        patient, api, reason = _patient(arguments), str(arguments.get("api", "")), wanted_reason(arguments)
        asking = self._asking()
        if api not in asking:
            hint = did_you_mean(api, asking) or f"these do: {', '.join(asking) or 'none'}"
            raise Refused(f"{api!r} is no API that asks for consent; {hint}", 2)
        now_us, until_us = self._parts.world.now_us(), arguments.get("until_us")
        if until_us is not None and (
            not isinstance(until_us, int) or not now_us < until_us <= now_us + OVERRIDE_MAX_S * 1_000_000
        ):
            raise Refused(
                f"an override ends by itself: within {OVERRIDE_MAX_S // 86_400} days, and not yet", 2
            )
        wanted = Override(patient, api, until_us, now_us, actor, reason)
        if not await self._parts.consents.override(wanted):
            raise Refused(f"there was no override for this patient and {api}")
        if until_us is None:
            return {"done": f"consent decides again what goes to {api}"}
        return {"done": f"data of this patient go to {api}, whatever was decided", "until_us": until_us}


def _about(policy: ConsentPolicy) -> Said:
    options = policy.options
    return {"mode": options.mode, "purpose": options.purpose, "recipient": list(options.recipient)}


def _short(of: list[str]) -> list[str]:
    """Which records and labels are meant, those with every label by the record's name alone."""
    by_record: dict[str, list[str]] = {}
    for each in of:
        record, _, label = each.partition(" ")
        by_record.setdefault(record, []).append(label)
    whole = [record for record, labels in by_record.items() if len(labels) == len(LABELS)]
    parts: dict[str, list[str]] = {}
    for record, labels in by_record.items():
        if record not in whole:
            parts.setdefault(" ".join(labels), []).append(record)
    every = sum(1 for name in RECORDS if about_patients(name))
    told = [
        f"{ALL if len(names) == every else ', '.join(names)}: {labels}" for labels, names in parts.items()
    ]
    return [*whole, *told]


def _patient(arguments: Mapping[str, Any]) -> str:
    patient = arguments.get("patient")
    if not isinstance(patient, str) or not 0 < len(patient) <= PATIENT_MAX_CHARACTERS:
        raise Refused("name a patient by the key that records have, as in NORTH:100234", 2)
    return patient
