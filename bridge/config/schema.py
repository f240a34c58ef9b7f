"""JSON Schemas of the files, so that editors complete keys and mark mistakes while somebody types.

They are made from the models that check the files. Where an editor reads a number or a truth value, the
bridge reads text, so free text is allowed to look like either.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from bridge.canonical.base import fields
from bridge.canonical.records import RECORDS
from bridge.component import WHOLE_MESSAGES, Catalog, Component, Kind, Options
from bridge.config.api import ApiFile
from bridge.config.approvers import ApproversFile
from bridge.config.channel import ChannelFile
from bridge.config.environments import FOLDER, REFERENCE, EnvironmentFile
from bridge.config.names import NAME_PATTERN
from bridge.mapping.emit_json import KEYS as JSON_KEYS
from bridge.mapping.emit_message import APPEND_KEYS, REPEAT_KEYS, SOURCES, UNWRITABLE
from bridge.mapping.emit_message import KEYS as MESSAGE_KEYS
from bridge.mapping.key_texts import ENTRY_KEYS, GROUP_KEYS, IGNORE_KEYS, RULE_KEYS, SOURCE_KEYS, sentence
from bridge.mapping.written_out import VALUE, takes_value
from bridge.message import OPERATIONS

Schema = dict[str, Any]

CHANNEL: Final = "channel.schema.json"
API: Final = "api.schema.json"
MAPPING: Final = "mapping.schema.json"
ENVIRONMENT: Final = "environment.schema.json"
APPROVERS: Final = "approvers.schema.json"
_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_ANY_TEXT: Final = ["string", "number", "boolean"]


def json_schemas(catalog: Catalog) -> dict[str, Schema]:
    """A schema (draft 2020-12) by file name: for channel, API, mapping and environment files, and for
    the file of persons."""
    return {
        CHANNEL: _with_values(_channel(catalog)),
        API: _with_values(_api(catalog)),
        MAPPING: _mapping(),
        ENVIRONMENT: _environment(),
        APPROVERS: _approvers(),
    }


def _channel(catalog: Catalog) -> Schema:
    definitions: Schema = {}
    schema = _of(ChannelFile, definitions)
    for name, kind in (("source", "transport"), ("format", "format")):
        description = schema["properties"][name]["description"]
        choice = _choice(catalog, "transport" if kind == "transport" else "format", definitions)
        schema["properties"][name] = {"description": description, **choice}
    return _whole("A channel: one declared feed.", schema, definitions)


def _api(catalog: Catalog) -> Schema:
    definitions: Schema = {}
    destinations = [component for component in catalog.components if component.kind == "destination"]
    kinds = [_api_of(component, catalog, definitions) for component in destinations]
    schema = kinds[0] if len(kinds) == 1 else {"oneOf": kinds}
    return _whole("An API of the catalogue.", schema, definitions)


def _api_of(component: Component, catalog: Catalog, definitions: Schema) -> Schema:
    schema = _of(ApiFile, definitions)
    theirs = _of(component.options, definitions)
    schema["properties"] |= theirs["properties"]
    schema["required"] = [*schema["required"], *theirs.get("required", [])]
    properties = schema["properties"]
    choice = _choice(catalog, "credential", definitions)
    properties["auth"] = {
        "description": properties["auth"]["description"],
        "oneOf": [{"const": "none"}, *(choice["oneOf"] if component.credentials else [])],
    }
    for name, words in (("send", component.sends), ("repeat_safety", component.repeat_safety)):
        properties[name] = {**_without(properties[name], "default"), "enum": list(words)}
    for policy in catalog.components:
        if policy.kind == "policy" and policy.marker:
            properties[policy.marker] = {
                "description": policy.summary,
                **_without(_of(policy.options, definitions), "description"),
            }
    if component.operation is None:
        del properties["operations"]
    else:
        name = f"operation.{component.name}"
        definitions[name] = _of(component.operation, definitions)
        properties["operations"] = {
            "description": properties["operations"]["description"],
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {"$ref": f"#/$defs/{name}"},
        }
    if not WHOLE_MESSAGES & set(component.sends):
        schema["required"] = [*schema["required"], "operations"]
    elif "record" not in component.sends:
        schema["required"] = [*schema["required"], "send"]
    return schema


def _environment() -> Schema:
    definitions: Schema = {}
    schema = _of(EnvironmentFile, definitions)
    schema["properties"]["values"]["additionalProperties"] = False
    return _whole("An environment: the values that channel and API files refer to.", schema, definitions)


def _approvers() -> Schema:
    definitions: Schema = {}
    schema = _of(ApproversFile, definitions)
    return _whole(
        "The persons who approve files: their keys, and who must agree to what.", schema, definitions
    )


def _with_values(schema: Schema) -> Schema:
    """The schema of a file in which `value://NAME` may stand wherever a scalar does."""
    reference = {
        "type": "string",
        "pattern": f"^{REFERENCE}{NAME_PATTERN}$",
        "description": f"A value of the environment, from {FOLDER}/NAME.yaml.",
    }
    found: Schema = _or_value(schema)
    return {**found, "$defs": {**found.get("$defs", {}), "value_reference": reference}}


def _or_value(node: Any) -> Any:
    """Each scalar in a schema as that or a reference; keys (`propertyNames`) never are one."""
    if not isinstance(node, dict):
        return node
    inner = {
        key: (
            {name: _or_value(each) for name, each in value.items()}
            if key in ("properties", "$defs")
            else [_or_value(each) for each in value]
            if key in ("anyOf", "allOf", "prefixItems")
            else _or_value(value)
            if key in ("items", "additionalProperties")
            else value
        )
        for key, value in node.items()
    }
    if "oneOf" in node:
        # Two branches that both take a reference would take none.
        scalars = [each for each in node["oneOf"] if _is_scalar(each)]
        inner["oneOf"] = [each if _is_scalar(each) else _or_value(each) for each in node["oneOf"]]
        return _either(inner) if scalars else inner
    return _either(inner) if _is_scalar(node) else inner


def _is_scalar(node: Schema) -> bool:
    """Whether a schema is of one text, number or word, and would refuse a reference."""
    return node.get("type") in ("string", "integer", "number", "boolean") or (
        "type" not in node and bool(node.keys() & {"enum", "const"})
    )


def _either(node: Schema) -> Schema:
    """A schema or a reference; what is said of the key stays with the key."""
    said: Schema = {key: node[key] for key in ("description", "default") if key in node}
    plain = {key: value for key, value in node.items() if key not in said}
    return {**said, "anyOf": [plain, {"$ref": "#/$defs/value_reference"}]}


def _mapping() -> Schema:
    """Mapping files: keys and field names; the expressions in them are checked by the compiler alone."""
    text = {"type": _ANY_TEXT}
    expression = {"anyOf": [text, {"type": "array", "items": text}]}
    keys: Schema = {
        "from": expression,
        "const": text,
        "ref": {"enum": sorted(RECORDS)},
        "list": {"type": ["array", "object"]},
        "mode": {"enum": ["snapshot", "add"]},
        "part": {"type": "object"},
        "translate": {"type": ["string", "object"]},
        "default": text,
        "required": {"type": "boolean"},
        "on_error": {"type": ["string", "null"]},
        "unmapped": {"type": ["string", "null"]},
        "tag": {"type": "string"},
    }
    whole = {"type": "object", "properties": _said(keys, RULE_KEYS), "additionalProperties": False}
    definitions = {"rule": {"anyOf": [*expression["anyOf"], whole]}}
    rule = {"$ref": "#/$defs/rule"}
    value = {"type": "string", "description": "Its one value, as `observation_value(...)` finds it."}
    emits = [
        {
            "type": "object",
            "properties": _said(
                {
                    "record": {"const": name},
                    "for_each": {"type": "string"},
                    "key": expression,
                    "when": {"type": "string"},
                    "let": {"type": "object"},
                    "operation": {"anyOf": [{"enum": list(OPERATIONS)}, {"type": ["string", "object"]}]},
                    "set": {
                        "type": "object",
                        "properties": {
                            **{
                                field: {"description": each.description, **rule}
                                for field, each in fields(model).items()
                            },
                            **({VALUE: value} if takes_value(fields(model)) else {}),
                        },
                        "additionalProperties": False,
                    },
                    "ext": {"type": "object", "additionalProperties": rule},
                    "on_reject": {"enum": ["skip", "fail_message"]},
                },
                ENTRY_KEYS,
            ),
            "required": ["record", "set"],
        }
        for name, model in RECORDS.items()
    ]
    emits.append(_message(expression, rule))
    emits.append(_json())
    group = {"type": "object", "properties": _said({}, GROUP_KEYS)}
    groups = {"type": "object", "additionalProperties": group}
    described: Mapping[str, Schema] = {
        "mapping": {"type": "string", "description": "The mapping's name, once among all mappings."},
        "version": {"type": "string", "description": "This file's own version, as in 1.2.0."},
        "owner": {"type": "string", "description": "Who answers for this mapping."},
        "description": {"type": "string", "description": "What this mapping is for."},
        "target": {"type": "string", "description": "The version of the records, as in canonical/1."},
        "source": {
            "type": "object",
            "description": "What it reads: format, accept, versions, timezone, groups.",
            "properties": _said({"groups": groups}, SOURCE_KEYS),
        },
        "on_no_record": {
            "enum": ["fail", "allow"],
            "description": "What becomes of a message of which no record is made: it fails, or it is done.",
        },
        "tables": {"type": "object", "description": "Code tables by name: from code to code."},
        "let": {"type": "object", "description": "Named expressions, used by their names further down."},
        "emit": {
            "type": "array",
            "minItems": 1,
            "items": {"oneOf": emits},
            "description": "The records made, and the message or document.",
        },
        "ignore": {
            "type": "array",
            "description": "Paths that are left out on purpose, each with `because`.",
            "items": {"type": "object", "properties": _said({}, IGNORE_KEYS)},
        },
        "tests": {
            "type": "array",
            "description": "Messages with the records, or the message, that they must give.",
        },
    }
    schema: Schema = {
        "type": "object",
        "properties": dict(described),
        "required": ["mapping", "source", "emit"],
        "additionalProperties": False,
    }
    return _whole("A mapping from messages to records, or to a message.", schema, definitions)


def _said(schemas: Mapping[str, Schema], texts: Mapping[str, str]) -> Schema:
    """The keys that texts are of, each with what it means, and its schema where it has one."""
    assert schemas.keys() <= texts.keys()
    return {key: {"description": sentence(text), **schemas.get(key, {})} for key, text in texts.items()}


def _shared() -> dict[str, Schema]:
    """What keys mean that each kind of entry has."""
    return {key: {"description": sentence(ENTRY_KEYS[key])} for key in ("when", "let", "on_reject")}


def _json() -> Schema:
    """An entry of `emit` that makes JSON: names and rules, with objects and lists inside."""
    shared = _shared()
    properties: Schema = {
        "json": {"enum": ["object"], "description": "What is made: an object."},
        "for_each": {"type": "string", "description": "A list: one document for each of its entries."},
        "when": {"type": "string", **shared["when"]},
        "let": {"type": "object", **shared["let"]},
        "set": {"type": "object", "description": "Names, and the rule, object or list that each is."},
        "on_reject": {"enum": ["skip", "fail_message"], **shared["on_reject"]},
    }
    assert set(properties) == set(JSON_KEYS)
    return {
        "type": "object",
        "properties": properties,
        "required": ["json", "set"],
        "additionalProperties": False,
    }


def _message(expression: Schema, rule: Schema) -> Schema:
    """An entry of `emit` that makes a message; its places are checked by the compiler alone."""
    text: Schema = {"type": "string"}
    shared = _shared()
    places = {"type": "object", "additionalProperties": rule}
    segment: Schema = {
        "type": "object",
        "properties": dict(
            zip(APPEND_KEYS, (text, text, text, text, places, {"type": "array"}), strict=True)
        ),
        "required": ["segment", "set"],
        "additionalProperties": False,
    }
    properties: Schema = {
        "message": {"enum": ["hl7v2"], "description": "The format of the message made."},
        "from": {
            "enum": list(SOURCES),
            "description": "copy (the message that came), or new (an empty one).",
        },
        "when": {**text, **shared["when"]},
        "let": {"type": "object", **shared["let"]},
        "set": {**places, "description": "Places, as in PID-5.1, and the rule for what comes there."},
        "remove": {**expression, "description": "Segments, fields, repetitions and components, everywhere."},
        "append": {"type": "array", "items": segment, "description": "New segments."},
        "repeat": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": dict(zip(REPEAT_KEYS, (text, text, places, expression), strict=True)),
                "required": ["for_each"],
                "additionalProperties": False,
            },
            "description": "What is set and taken out in each of several segments or repetitions.",
        },
        "charset": {**text, "description": "The character set; left out, that of the message."},
        "delimiters": {**text, "description": "MSH-1 and MSH-2; left out, those of the message."},
        "unwritable": {
            "enum": list(UNWRITABLE),
            "default": UNWRITABLE[0],
            "description": "A character that is not in the character set: reject, escape, replace.",
        },
        "on_reject": {"enum": ["skip", "fail_message"], **shared["on_reject"]},
    }
    assert set(properties) == set(MESSAGE_KEYS)
    return {
        "type": "object",
        "properties": properties,
        "required": ["message", "from"],
        "additionalProperties": False,
    }


def _whole(description: str, schema: Schema, definitions: Schema) -> Schema:
    whole = {"$schema": _DRAFT, "description": description, **_without(schema, "description")}
    return {**whole, "$defs": definitions} if definitions else whole


def _choice(catalog: Catalog, kind: Kind, definitions: Schema) -> Schema:
    """One component: its name alone, or its name with its options."""
    branches: list[Schema] = []
    bare = []
    for component in catalog.components:
        if component.kind != kind:
            continue
        definitions[component.name] = _of(component.options, definitions)
        if not definitions[component.name].get("required"):
            bare.append(component.name)
        branches.append(
            {
                "type": "object",
                "description": component.summary,
                "properties": {component.name: {"$ref": f"#/$defs/{component.name}"}},
                "required": [component.name],
                "additionalProperties": False,
            }
        )
    return {"oneOf": [*branches, *([{"enum": bare}] if bare else [])]}


def _of(model: type[BaseModel] | type[Options], definitions: Schema) -> Schema:
    """A model's schema. What it refers to goes into ``definitions``, under names of its own."""
    schema = model.model_json_schema(by_alias=True, ref_template=f"#/$defs/{model.__name__}.{{model}}")
    for name, definition in schema.pop("$defs", {}).items():
        definitions[f"{model.__name__}.{name}"] = _tidy(definition)
    tidied: Schema = _tidy(schema)
    return tidied


def _tidy(node: Any, *, names: bool = False) -> Any:
    """Without titles, which repeat the keys, and without defaults that are not what a file would say.

    ``names`` tells that the keys of this node are names that a file gives, not words of JSON Schema.
    """
    if isinstance(node, list):
        return [_tidy(each) for each in node]
    if not isinstance(node, dict):
        return node
    if names:
        return {key: _tidy(value) for key, value in node.items()}
    tidied = {
        key: _tidy(value, names=key in ("properties", "$defs"))
        for key, value in node.items()
        if key not in ("title", "component")
    }
    if tidied.get("type") == "string":
        if not isinstance(tidied.get("default"), str | None):
            del tidied["default"]
        if not tidied.keys() & {"pattern", "enum", "const", "format"}:
            tidied["type"] = _ANY_TEXT
    return tidied


def _without(schema: Schema, key: str) -> Schema:
    return {name: value for name, value in schema.items() if name != key}
