"""Everything that has a name, with what it means.

Nothing is told twice: all of it is read from the catalogue, the models, docstrings and tables of the code.
"""

from __future__ import annotations

import doctest
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import Any, Final

import click

from bridge.canonical.base import FieldType, fields
from bridge.canonical.records import RECORDS
from bridge.cli.main import bridge
from bridge.component import Catalog, Component, OperationOptions
from bridge.config.advice import ADVICE as FILE_ADVICE
from bridge.config.api import ApiFile
from bridge.config.channel import ChannelFile
from bridge.config.codes import CODES as FILE_CODES
from bridge.config.environments import EnvironmentFile
from bridge.config.not_built import COMPONENTS_NOT_BUILT, NOT_BUILT
from bridge.config.reference import keys
from bridge.config.schema import MAPPING, json_schemas
from bridge.config.settings import VARIABLES
from bridge.contracts.change_codes import CHANGES
from bridge.contracts.findings import MEANINGS as DRIFT
from bridge.contracts.lint import RULES
from bridge.delivery.meanings import AFTER_VERDICT, OF_DELIVERY, OF_MESSAGE
from bridge.delivery.outcomes import Verdict
from bridge.delivery.state import DELIVERY_ARROWS, MAY_HAVE_HAPPENED, MESSAGE_ARROWS
from bridge.destinations.events_nats_proof import ADVICE as STREAM_ADVICE
from bridge.destinations.http_responses import classify
from bridge.destinations.reasons import REASONS
from bridge.fhir.advice import ADVICE as FHIR_ADVICE
from bridge.fhir.check import CODES as FHIR_CODES
from bridge.formats.hl7v2_ack import TABLE_0008, TABLE_0357
from bridge.formats.hl7v2_tolerances import TOLERANCES
from bridge.governance.order import ORDER
from bridge.journal.flags import FLAGS
from bridge.journal.quarantine import ADVICE as QUARANTINE_ADVICE
from bridge.journal.quarantine import advice
from bridge.mapping.advice import ADVICE as MAPPING_ADVICE
from bridge.mapping.codes import CODES as MAPPING_CODES
from bridge.mapping.constructors import CONSTRUCTORS
from bridge.mapping.functions import FUNCTIONS
from bridge.mapping.reference import call_of, constructor_call, result_of
from bridge.mapping.signature import Param
from bridge.observe.log_words import LOG_WORDS
from bridge.runtime.file_reasons import OF_CONTENT
from bridge.runtime.file_reasons import REASONS as FILE_REASONS

STATUSES_SHOWN_MAX_COUNT: Final = 8
_CHANNEL_FILE, _API_FILE = "channels/NAME.yaml", "channels/apis/NAME.yaml"
_NOT_BUILT: Final = "Designed, and not built in this version"


@dataclass(frozen=True, slots=True)
class Meaning:
    """One thing that a name stands for. ``also`` are further names by which it is found.

    ``facts`` are told one a line, ``rows`` as a table under ``columns``.
    """

    kind: str
    name: str
    text: str
    facts: tuple[tuple[str, str], ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    example: str = ""
    also: tuple[str, ...] = ()


def meanings(catalog: Catalog) -> list[Meaning]:
    """Everything that can be explained, kind after kind."""
    return [
        *(each for component in catalog.components for each in _component(component)),
        *_options("a channel file", _CHANNEL_FILE, ChannelFile),
        *_options("an API file", _API_FILE, ApiFile),
        *_options("an API file", _API_FILE, OperationOptions, "operations.*."),
        *_options("an environment file", "channels/environments/NAME.yaml", EnvironmentFile),
        *_policies(catalog),
        *_mapping_keys(catalog),
        *_not_built(),
        *_functions(),
        *_constructors(),
        *_records(),
        *_codes("code of a file", FILE_CODES, FILE_ADVICE),
        *_codes("code of a mapping", MAPPING_CODES, MAPPING_ADVICE),
        *_codes("code of a FHIR resource", FHIR_CODES, FHIR_ADVICE),
        *_states("message state", OF_MESSAGE, MESSAGE_ARROWS),
        *_states("delivery state", OF_DELIVERY, DELIVERY_ARROWS),
        *(
            Meaning(
                "quarantine reason", reason, _sentence(words), (("to see them", "bridge quarantine list"),)
            )
            for reason, words in QUARANTINE_ADVICE.items()
        ),
        *_attempts(),
        *(
            Meaning("reason of an attempt", reason, words, (("to see them", "bridge show MESSAGE"),))
            for reason, words in {**_sentences(STREAM_ADVICE), **REASONS}.items()
        ),
        *(
            Meaning("reason of a file", reason, words, (("to see them", "bridge files list"),))
            for reason, words in {**FILE_REASONS, **OF_CONTENT}.items()
        ),
        *_contracts(),
        *(
            Meaning("tolerated", code, text, (("to see them", "bridge status"),))
            for code, text in TOLERANCES.items()
        ),
        *(
            Meaning("acknowledgement", code.value, text, (("table", "HL7 table 0008, in MSA-1"),))
            for code, text in TABLE_0008.items()
        ),
        *(
            Meaning("acknowledgement error", code, f"{text}.", (("table", "HL7 table 0357, in ERR-3"),))
            for code, text in TABLE_0357.items()
        ),
        *(
            Meaning("flag of a message", word, text, (("to see them", "bridge messages"),))
            for word, text in FLAGS.items()
        ),
        *(
            Meaning("line of the log", word, text, (("where", "standard error, as `event`"),))
            for word, text in LOG_WORDS.items()
        ),
        *(Meaning("environment variable", name, text) for name, text in VARIABLES.items()),
        *_commands(),
    ]


@cache
def of_this_build() -> tuple[Meaning, ...]:
    """Those of all that is built in."""
    from bridge.catalog import STANDARD

    return tuple(meanings(STANDARD))


def _contracts() -> Iterator[Meaning]:
    """Changes of APIs, rules for their documents, and what is found where one is other than it says."""
    for code, change in CHANGES.items():
        yield Meaning("change of an API", code, change.text, (("it is", change.severity),))
    for code, rule in RULES.items():
        facts = (("it is", rule.severity), ("to see it", "bridge apis lint FILE"))
        yield Meaning("rule for an API's document", code, f"{_sentence(rule.text)} {rule.why}", facts)
    for kind, text in DRIFT.items():
        yield Meaning("drift of an API", kind, _sentence(text), (("to see it", "bridge apis drift"),))


def find(known: Iterable[Meaning], name: str) -> list[Meaning]:
    """All that a name means, whatever its capitals: first what is named so, then what ends so."""
    wanted, all_known = _plain(name), list(known)
    whole = [each for each in all_known if _plain(each.name) == wanted]
    part = [each for each in all_known if each not in whole and wanted in map(_plain, each.also)]
    return [*whole, *part]


def _plain(name: str) -> str:
    return re.sub(r"\[\]|\.\*", "", " ".join(name.split())).casefold()


def _sentences(texts: Mapping[str, str]) -> dict[str, str]:
    return {name: _sentence(text) for name, text in texts.items()}


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].removesuffix('.')}."


def _endings(path: str) -> tuple[str, ...]:
    """The ends of a dotted path by which it is found too."""
    steps = _plain(path).split(".")
    return tuple(".".join(steps[start:]) for start in range(1, len(steps)))


def _options(file: str, where: str, model: type[Any], prefix: str = "") -> Iterator[Meaning]:
    for key in keys(model, prefix):
        facts = (("file", where), ("default", key.default.replace("`", "")), ("takes", key.takes))
        told = tuple((name, value) for name, value in facts if value)
        yield Meaning(f"key of {file}", key.path, key.text, told, also=_endings(key.path))


def _component(component: Component) -> Iterator[Meaning]:
    file, where, prefix, written = {
        "transport": ("a channel file", _CHANNEL_FILE, f"source.{component.name}.", "source: {%s: ...}"),
        "format": ("a channel file", _CHANNEL_FILE, f"format.{component.name}.", "format: {%s: ...}"),
        "credential": ("an API file", _API_FILE, f"auth.{component.name}.", "auth: {%s: ...}"),
        "destination": ("an API file", _API_FILE, "", f"{component.marker}: ..."),
        "policy": ("an API file", _API_FILE, f"{component.marker}.", f"{component.marker}: {{...}}"),
    }[component.kind]
    models = [(component.options, prefix)]
    if component.operation is not None:
        models.append((component.operation, "operations.*."))
    rows = tuple(
        (key.path.removeprefix(prefix), key.default.replace("`", ""), key.text)
        for model, before in models
        for key in keys(model, before)
    )
    yield Meaning(
        component.kind,
        component.name,
        component.summary,
        (("file", where), ("written", written.replace("%s", component.name))),
        ("option", "default", "meaning"),
        rows,
        component.example,
    )
    shared = {key.path for key in keys(OperationOptions, "operations.*.")}
    for model, before in models:
        for each in _options(file, where, model, before):
            if each.name not in shared:
                yield replace(each, facts=((component.kind, component.name), *each.facts))


def _policies(catalog: Catalog) -> Iterator[Meaning]:
    """The policies that are no component: they have no options of their own."""
    for place, step in enumerate(ORDER, 1):
        if catalog.find("policy", step.name) is None:
            when = "as a request is made" if step.when == "request" else "at each attempt"
            facts = (
                ("asked", f"{when}, {place} of {len(ORDER)} in order"),
                ("kept as", f"the letter {step.letter} in `bridge show`"),
            )
            yield Meaning("policy", step.name, _sentence(step.text), facts)


def _mapping_keys(catalog: Catalog) -> Iterator[Meaning]:
    """The keys of a mapping file at all depths but the fields of records, which have their own meaning."""
    schema = json_schemas(catalog)[MAPPING]
    top, rule = schema["properties"], schema["$defs"]["rule"]["anyOf"][-1]
    found: dict[tuple[str, str], list[str]] = {}

    def note(properties: Mapping[str, Any], prefix: str, of: str = "") -> None:
        for name, key in properties.items():
            if "description" in key:
                found.setdefault((prefix + name, key["description"]), []).append(of)

    note(top, "")
    note(top["source"]["properties"], "source.")
    note(top["source"]["properties"]["groups"]["additionalProperties"]["properties"], "source.groups.*.")
    for entry in top["emit"]["items"]["oneOf"]:
        makes = next(each for each in ("record", "message", "json") if each in entry["properties"])
        note(entry["properties"], "emit[].", _ENTRIES[makes])
    note(rule["properties"], "emit[].set.*.")
    note(top["ignore"]["items"]["properties"], "ignore[].")
    for (path, text), of in found.items():
        kinds = ", ".join(dict.fromkeys(filter(None, of)))
        facts = (("file", "mappings/NAME.yaml"), *((("of", kinds),) if kinds else ()))
        yield Meaning("key of a mapping file", path, text, facts, also=_endings(path))


_ENTRIES: Final = {
    "record": "an entry that makes a record",
    "message": "an entry that makes a message",
    "json": "an entry that makes JSON",
}


def _not_built() -> Iterator[Meaning]:
    for row in NOT_BUILT:
        path = ".".join(row.path)
        file = "a channel file" if row.file == "channel" else "an API file"
        words = "Not every value is built" if row.built else f"{_NOT_BUILT}, as a key of {file}"
        yield Meaning("not built", path, f"{words}: {row.text}.", also=_endings(path))
    for kind, components in COMPONENTS_NOT_BUILT.items():
        for name, text in components.items():
            yield Meaning("not built", name, f"{_NOT_BUILT}, as a {kind}: {text}.")


def _functions() -> Iterator[Meaning]:
    for name, function in FUNCTIONS.items():
        doc = inspect.getdoc(function.call) or ""
        params = [*function.params, *([function.variadic] if function.variadic else [])]
        takes = ", ".join(f"{each.name} ({_type(each)})" for each in params)
        yield Meaning(
            "function",
            name,
            " ".join(doc.partition(">>>")[0].split()),
            (("call", call_of(function)), ("takes", takes), ("gives", result_of(function))),
            ("example", "gives"),
            tuple(
                (each.source.strip().replace("lambda: ", ""), each.want.strip())
                for each in doctest.DocTestParser().get_examples(doc)
            ),
        )


def _constructors() -> Iterator[Meaning]:
    for name, each in CONSTRUCTORS.items():
        field, made = each.example
        told = ", ".join(f"{key}: {value}" for key, value in made.items())
        yield Meaning(
            "constructor",
            name,
            each.summary,
            (("call", constructor_call(each)), ("reads", each.of), ("sets", ", ".join(each.rules))),
            ("example", "gives"),
            ((field, told),) if field else (),
        )


def _type(param: Param) -> str:
    words = "anything" if param.type is None else param.type.value
    return f"{words}, may be left out" if param.optional else words


def _records() -> Iterator[Meaning]:
    for name, model in RECORDS.items():
        found = fields(model)
        yield Meaning(
            "record",
            name,
            " ".join((inspect.getdoc(model) or "").split()),
            (),
            ("field", "kind", "tag", "meaning"),
            tuple(
                (f"{field}{' (needed)' if each.required else ''}", each.kind, each.tag.name, each.description)
                for field, each in found.items()
            ),
        )
        yield from _fields(name, found)


def _fields(owner: str, found: Mapping[str, FieldType]) -> Iterator[Meaning]:
    for name, field in found.items():
        facts = (
            ("kind", field.kind),
            ("one of", ", ".join(field.values)),
            ("tag", f"{field.tag.name}: {field.tag.value}"),
            ("needed", "yes" if field.required else "no"),
        )
        path = f"{owner}.{name}"
        told = tuple((each, value) for each, value in facts if value)
        yield Meaning("record field", path, field.description, told, also=_endings(path))
        yield from _fields(path, field.item)


def _codes(kind: str, codes: Mapping[str, str], todo: Mapping[str, tuple[str, str]]) -> Iterator[Meaning]:
    for code, text in codes.items():
        do, example = todo.get(code, ("", ""))
        whose = "issue of a message" if code.startswith("R") else kind
        yield Meaning(whose, code, text, (("do", do),) if do else (), example=example)


def _states(kind: str, texts: Mapping[Any, str], arrows: Iterable[tuple[Any, Any]]) -> Iterator[Meaning]:
    following = sorted((str(before), str(after)) for before, after in arrows)
    for state, text in texts.items():
        after = ", ".join(name for before, name in following if before == str(state))
        yield Meaning(kind, str(state), text, (("comes next", after or "nothing: it is final"),))


def _attempts() -> Iterator[Meaning]:
    """The reasons that an API's answers come to."""
    statuses: dict[tuple[str, Verdict], list[int]] = {}
    for status, names_record in product(range(300, 600), (False, True)):
        outcome = classify(status, {}, now_us=0, names_record=names_record)
        found = statuses.setdefault((outcome.reason, outcome.verdict), [])
        if status not in found:
            found.append(status)
    for (reason, verdict), found in statuses.items():
        answers = ", ".join(map(str, found[:STATUSES_SHOWN_MAX_COUNT]))
        more = " and others" if len(found) > STATUSES_SHOWN_MAX_COUNT else ""
        facts = [("verdict", str(verdict)), ("answers", answers + more)]
        if verdict is Verdict.POISON:
            facts.append(("in quarantine", advice(reason)))
        if unknown := sorted(MAY_HAVE_HAPPENED.intersection(found)):
            of = ", ".join(map(str, unknown))
            facts.append(("may have happened", f"after {of}: then `repeat_safety` decides what follows"))
        text, also = AFTER_VERDICT[verdict], tuple(map(str, found))
        yield Meaning("reason of an attempt", reason, text, tuple(facts), also=also)


def _commands() -> Iterator[Meaning]:
    yield from _below(bridge, "")


def _below(group: click.Group, path: str) -> Iterator[Meaning]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, "a group has the commands that it lists"
        whole = f"{path}{name}"
        text = " ".join((command.help or "").split("\n\n")[0].split())
        facts = (("more", f"bridge {whole} --help"),)
        yield Meaning("command", whole, text, facts, also=(f"bridge {whole}",))
        if isinstance(command, click.Group):
            yield from _below(command, f"{whole} ")
