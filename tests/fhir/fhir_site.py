"""The example of `mappings/fhir/README.md` as a site in a folder, against a server of ours."""

from __future__ import annotations

import re
from pathlib import Path
from shutil import copyfile, copytree

ROOT = Path(__file__).parents[2]
MAPPINGS = ROOT / "mappings"
README = MAPPINGS / "fhir" / "README.md"
PLACES = ("channels/apis/ehr.fhir.yaml", "channels/ehr-adt.yaml", "channels/lab-results.yaml")


def written() -> list[str]:
    """The files of the example, in the order of `PLACES`."""
    return re.findall(r"```yaml\n(.*?)```", README.read_text(), re.DOTALL)


def site_of(folder: Path, url: str, *, more: str = "") -> Path:
    """The example in a folder, with ``more`` keys in its API file."""
    for place, text in zip(PLACES, written(), strict=True):
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        here = re.sub(r"tcp:\d+:", "tcp:0:", text).replace("http://127.0.0.1:8090/fhir", url)
        path.write_text(here + more if place.startswith("channels/apis/") else here)
    (folder / "mappings").mkdir()
    for name in ("adt-admit", "lab-results"):
        copyfile(MAPPINGS / f"{name}.yaml", folder / "mappings" / f"{name}.yaml")
    for file in (MAPPINGS / "fhir").glob("*.yaml"):
        copyfile(file, folder / "mappings" / file.name)
    copytree(MAPPINGS / "fhir" / "tables", folder / "mappings" / "tables")
    return folder
