"""JSON Schemas for editors, the tables in the README files, and the files that are shipped."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from config_site import API, CATALOG, CHANNEL, FILES, MAPPING
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from bridge.catalog import STANDARD
from bridge.config.api import ApiFile
from bridge.config.channel import ChannelFile
from bridge.config.components import configure
from bridge.config.environments import EnvironmentFile
from bridge.config.load import load
from bridge.config.reference import keys_table
from bridge.config.schema import API as API_SCHEMA
from bridge.config.schema import APPROVERS as APPROVERS_SCHEMA
from bridge.config.schema import CHANNEL as CHANNEL_SCHEMA
from bridge.config.schema import ENVIRONMENT as ENVIRONMENT_SCHEMA
from bridge.config.schema import MAPPING as MAPPING_SCHEMA
from bridge.config.schema import json_schemas
from bridge.config.yaml_tree import read_tree
from bridge.contracts.options import ContractOptions
from bridge.destinations.credentials import ApiKeyOptions, BasicOptions
from bridge.destinations.events_nats_proof import ADVICE
from bridge.destinations.events_options import EventOperation, EventsOptions
from bridge.destinations.events_types import types_page
from bridge.destinations.fhir_r4 import FhirOperation, FhirOptions
from bridge.destinations.file_out import FileOutOptions
from bridge.destinations.files_out import FileOperation
from bridge.destinations.http_api import HttpApiOptions, HttpOperation
from bridge.destinations.mllp_send import MllpSendOptions
from bridge.destinations.oauth2 import OAuth2Options
from bridge.destinations.oauth2_jwt import PrivateKeyJwtOptions
from bridge.destinations.sftp_out import SftpOutOptions
from bridge.formats.delimited import DelimitedOptions
from bridge.formats.fixed import FixedOptions
from bridge.formats.hl7v2_options import Hl7v2Options
from bridge.formats.hl7v2_tolerances import TOLERANCES
from bridge.formats.json_records import JsonOptions
from bridge.formats.xml_options import XmlOptions
from bridge.governance.classify import CarriesOptions
from bridge.governance.consent import ConsentOptions
from bridge.governance.lifecycle import LifecycleOptions
from bridge.governance.minimum_necessary import ProtectOptions
from bridge.governance.order import ORDER
from bridge.governance.target_guard import NetworkOptions
from bridge.transports.collecting_options import CollectingOptions, FileOptions
from bridge.transports.file_drop import FileDropOptions
from bridge.transports.http_in_options import HttpInOptions
from bridge.transports.mllp_options import MllpOptions
from bridge.transports.sftp_options import SftpOptions

SITE = Path(__file__).parents[2]
SHIPPED = [
    *((CHANNEL_SCHEMA, path) for path in sorted(SITE.glob("channels/*.yaml"))),
    *((CHANNEL_SCHEMA, path) for path in sorted(SITE.glob("channels/examples/*.yaml"))),
    *((API_SCHEMA, path) for path in sorted(SITE.glob("channels/apis/*.yaml"))),
    *((API_SCHEMA, path) for path in sorted(SITE.glob("channels/examples/apis/*.yaml"))),
    *((MAPPING_SCHEMA, path) for path in sorted(SITE.glob("mappings/**/*.yaml"))),
]
RELABEL = (SITE / "mappings" / "examples" / "adt-relabel.yaml").read_text("utf-8")


@cache
def validator(shipped: bool, schema: str) -> Draft202012Validator:
    return Draft202012Validator(json_schemas(STANDARD if shipped else CATALOG)[schema])


def errors(schema: str, text: str, *, shipped: bool = False) -> list[str]:
    """What an editor marks: it reads YAML with numbers and truth values."""
    return [error.message for error in validator(shipped, schema).iter_errors(yaml.safe_load(text))]


@pytest.mark.parametrize("catalog", [STANDARD, CATALOG], ids=["standard", "test"])
def test_the_schemas_are_schemas(catalog: Any) -> None:
    schemas = json_schemas(catalog)
    wanted = [CHANNEL_SCHEMA, API_SCHEMA, MAPPING_SCHEMA, ENVIRONMENT_SCHEMA, APPROVERS_SCHEMA]
    assert sorted(schemas) == sorted(wanted)
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_every_key_of_the_schemas_says_what_it_means() -> None:
    silent = [
        f"{name}: {key}"
        for name, schema in json_schemas(STANDARD).items()
        for part in schema.get("oneOf", [schema])
        for key, each in part["properties"].items()
        if "description" not in each and "$ref" not in each
    ]
    assert silent == []


@pytest.mark.parametrize(
    ("schema", "text"), [(CHANNEL_SCHEMA, CHANNEL), (API_SCHEMA, API), (MAPPING_SCHEMA, MAPPING)]
)
def test_what_the_bridge_reads_an_editor_accepts(schema: str, text: str) -> None:
    assert errors(schema, text) == []


@pytest.mark.parametrize(
    ("schema", "text", "old", "new"),
    [
        (CHANNEL_SCHEMA, CHANNEL, "accept:", "acept:"),
        (CHANNEL_SCHEMA, CHANNEL, "    mapping:", "    maping:"),
        (CHANNEL_SCHEMA, CHANNEL, "    listen:", "    lisen:"),
        (CHANNEL_SCHEMA, CHANNEL, "mllp:", "mlpp:"),
        (CHANNEL_SCHEMA, CHANNEL, "{hl7v2: {charset: utf-8}}", "hl7v3"),
        (CHANNEL_SCHEMA, CHANNEL, "ADT^A08", "ADT-A08"),
        (API_SCHEMA, API, "base_url:", "base_ulr:"),
        (API_SCHEMA, API, "send_only:", "send:"),
        (API_SCHEMA, API, "secret://env/EHR_KEY", "hunter2"),
        (API_SCHEMA, API, "api_key:", "apikey:"),
        (MAPPING_SCHEMA, MAPPING, "emit:", "emits:"),
        (MAPPING_SCHEMA, MAPPING, "family:", "famly:"),
        (MAPPING_SCHEMA, MAPPING, "record: patient", "record: pateint"),
        (MAPPING_SCHEMA, RELABEL, "from: copy", "from: copie"),
        (MAPPING_SCHEMA, RELABEL, "remove:", "removes:"),
    ],
)
def test_a_misspelt_word_is_marked(schema: str, text: str, old: str, new: str) -> None:
    assert old in text
    assert errors(schema, text.replace(old, new)) != []


def test_the_shipped_site_is_right_and_brings_no_warning() -> None:
    topology = load(SITE, STANDARD)
    assert [str(problem) for problem in topology.warnings] == []
    assert {"ehr-adt"} <= topology.channels.keys()
    assert {"ehr.patients", "ehr.encounters"} <= topology.apis.keys()


@pytest.mark.parametrize(("schema", "path"), SHIPPED, ids=[path.name for _, path in SHIPPED])
def test_an_editor_accepts_the_shipped_files(schema: str, path: Path) -> None:
    assert errors(schema, path.read_text(), shipped=True) == []


@pytest.mark.parametrize("component", STANDARD.components, ids=lambda component: component.name)
def test_the_example_of_each_component_is_right(component: Any) -> None:
    tree, problems = read_tree(component.example, "example")
    assert problems == []
    assert tree is not None
    configured, problems = configure(component, tree)
    assert problems == []
    assert configured is not None


TABLES: list[tuple[str, type[BaseModel]]] = [
    ("channels/README.md", ChannelFile),
    ("channels/README.md", MllpOptions),
    ("channels/README.md", FileOptions),
    ("channels/README.md", CollectingOptions),
    ("channels/README.md", FileDropOptions),
    ("channels/README.md", SftpOptions),
    ("channels/README.md", HttpInOptions),
    ("channels/README.md", DelimitedOptions),
    ("channels/README.md", FixedOptions),
    ("channels/README.md", JsonOptions),
    ("channels/README.md", XmlOptions),
    ("channels/README.md", Hl7v2Options),
    ("channels/README.md", EnvironmentFile),
    ("channels/apis/README.md", ApiFile),
    ("channels/apis/README.md", LifecycleOptions),
    ("channels/apis/README.md", ContractOptions),
    ("channels/apis/README.md", CarriesOptions),
    ("channels/apis/README.md", ConsentOptions),
    ("channels/apis/README.md", ProtectOptions),
    ("channels/apis/README.md", NetworkOptions),
    ("channels/apis/README.md", HttpApiOptions),
    ("channels/apis/README.md", HttpOperation),
    ("channels/apis/README.md", FhirOptions),
    ("channels/apis/README.md", FhirOperation),
    ("channels/apis/README.md", MllpSendOptions),
    ("channels/apis/README.md", FileOutOptions),
    ("channels/apis/README.md", SftpOutOptions),
    ("channels/apis/README.md", FileOperation),
    ("channels/apis/README.md", EventsOptions),
    ("channels/apis/README.md", EventOperation),
    ("channels/apis/README.md", ApiKeyOptions),
    ("channels/apis/README.md", BasicOptions),
    ("channels/apis/README.md", OAuth2Options),
    ("channels/apis/README.md", PrivateKeyJwtOptions),
]


BUT: dict[type[BaseModel], type[BaseModel]] = {
    CollectingOptions: FileOptions,
    FileDropOptions: CollectingOptions,
    SftpOptions: CollectingOptions,
    HttpInOptions: FileOptions,
}
"""What a table leaves out because another table has it."""


@pytest.mark.parametrize(("path", "model"), TABLES, ids=[model.__name__ for _, model in TABLES])
def test_the_readme_has_the_table_that_the_model_gives(path: str, model: type[BaseModel]) -> None:
    assert keys_table(model, BUT.get(model)) in (SITE / path).read_text()


def test_the_files_shown_in_the_readme_are_read(tmp_path: Path) -> None:
    assert FILES
    for path in ("channels/README.md", "channels/apis/README.md"):
        for block in (SITE / path).read_text().split("```yaml\n")[1:]:
            tree, problems = read_tree(block.partition("```")[0], path)
            assert problems == []
            assert tree is not None


def test_the_readme_has_every_policy_in_its_order() -> None:
    when = {"request": "as the request is made", "attempt": "at each attempt"}
    rows = "".join(
        f"| `{step.letter}` | `{step.name}` | {when[step.when]} | {step.text} |\n" for step in ORDER
    )
    assert rows in (SITE / "channels/apis/README.md").read_text()


def test_the_readme_has_the_types_of_events_and_what_to_do_about_a_stream() -> None:
    page = (SITE / "channels/apis/README.md").read_text()
    assert types_page() in page
    assert all(f"| `{reason}` | {text[0].upper()}{text[1:]}. |\n" in page for reason, text in ADVICE.items())


def test_the_readme_says_what_each_tolerance_means() -> None:
    text = (SITE / "channels/README.md").read_text()
    assert "".join(f"| `{code}` | {words} |\n" for code, words in TOLERANCES.items()) in text
