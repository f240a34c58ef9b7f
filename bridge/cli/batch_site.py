"""The site of the chapter of batches: the examples that are shipped, as they are, with values of its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bridge.shipped import shipped

ENVIRONMENT: Final = "demo"
CHANNELS: Final = ("nightly-charges", "remittances", "stock-used", "lab-batches")
FOLDERS: Final = {
    "nightly-charges": "charges",
    "remittances": "remittances",
    "stock-used": "stock",
    "lab-batches": "results",
}
"""Where the files of each channel come in, below the chapter's folder."""
SITE: Final = "site"
"""Where its files are."""
LEDGER: Final = "ledger"
"""Where files for the ledger go out."""
MAPPINGS: Final = (
    "examples/nightly-charges.yaml",
    "examples/remittance-835.yaml",
    "feeds/inventory-consumption.yaml",
    "lab-results.yaml",
)
_ADDRESS: Final = "http://127.0.0.1:8080"
"""What the shipped API of results says where it is."""


def write_examples(folder: Path, *, url: str, charges_of_a_file: int) -> Path:
    """Write the site below a folder, with the folders that its files come from and go to; returns it."""
    site = folder / SITE
    channels, mappings = site / "channels", site / "mappings"
    for each in (channels / "apis", channels / "environments", mappings):
        each.mkdir(parents=True)
    examples = shipped("channels", "examples")
    for name in CHANNELS:
        shutil.copy(examples / f"{name}.yaml", channels)
    for path in sorted((examples / "apis").glob("*.yaml")):
        shutil.copy(path, channels / "apis")
    results = shipped("channels", "apis", "ehr.results.yaml").read_text("utf-8")
    assert results.count(_ADDRESS) == 1, "the API of results says where it is"
    (channels / "apis" / "ehr.results.yaml").write_text(results.replace(_ADDRESS, url), "utf-8")
    for name in MAPPINGS:
        shutil.copy(shipped("mappings", name), mappings)
    for name in (*FOLDERS.values(), LEDGER):
        (folder / name).mkdir()
    values = {f"{name}-in": str(folder / name) for name in FOLDERS.values()}
    values |= {"ledger-out": str(folder / LEDGER), "charges-of-a-file": str(charges_of_a_file)}
    values |= {"poll": "100ms", "processing-id": "T", "billing": url, "supply": url}
    (channels / "environments" / f"{ENVIRONMENT}.yaml").write_text(_environment(values), "utf-8")
    return site


def _environment(values: Mapping[str, str]) -> str:
    """Its file; a path may hold what YAML would read otherwise, so that values stand in quotes."""
    lines = [f"  {name}: {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
    return "\n".join([f"environment: {ENVIRONMENT}", "production: false", "values:", *lines, ""])
