"""The sites that simulations run on: the shipped mapping, and a few ways to be told and to repeat."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from sim_sender import PORT

from bridge.catalog import STANDARD
from bridge.cli.demo_site import write_site
from bridge.config.load import load
from bridge.config.topology import Topology

CHANNEL = "ehr-adt"
APIS = ("ehr.patients", "ehr.encounters")
SITES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "journaled": ("", {}),
    "translated": ("acknowledge: translated, answer: {within: 5s, late: AE}", {}),
    "delivered": ("acknowledge: delivered, answer: {within: 5s, late: AE}", {}),
    "careful": ("", {"repeat_safety: header": "repeat_safety: none"}),
    "one at a time": ("", {"in_flight: 8": "in_flight: 1"}),
    "flow": ("", {}),
}
"""By name: more options of the source, and what is changed in the files of the APIs."""
FLOW: Mapping[str, Mapping[str, str]] = {
    "channels/ehr-adt.yaml": {
        "  - route: patient\n": "  - route: patient\n    undo: undoPatient\n",
        "  - route: encounter\n": "  - route: encounter\n    after: [patient]\n    if_fails: undo\n",
    },
    "channels/apis/ehr.patients.yaml": {
        "operations:\n": "operations:\n"
        '  undoPatient: {method: POST, path: "/patients/{key}/undo", send_only: [key]}\n',
    },
    "channels/apis/ehr.encounters.yaml": {
        "    path: /encounters/{key}\n": "    path: /encounters/{key}\n"
        "    confirm: {every: 1s, within: 1h}\n",
    },
}
"""What the site `flow` has otherwise: one step after the other, which is accepted first, and undone."""


@cache
def site(name: str) -> Topology:
    """The site of this name, loaded as a node would."""
    source, changes = SITES[name]
    with tempfile.TemporaryDirectory() as folder:
        written = write_site(
            Path(folder) / "site",
            patients_url="http://127.0.0.1:1",
            encounters_url="http://127.0.0.1:2",
            port=PORT,
        )
        channel = written / "channels" / f"{CHANNEL}.yaml"
        text = channel.read_text()
        if source:
            text = text.replace(':interface=127.0.0.1"}', f':interface=127.0.0.1", {source}}}')
            assert source in text
        channel.write_text(text)
        for path in (written / "channels" / "apis").iterdir():
            text = path.read_text()
            for old, new in changes.items():
                assert old in text
                text = text.replace(old, new)
            path.write_text(text)
        for file, lines in FLOW.items() if name == "flow" else ():
            text = (written / file).read_text()
            for old, new in lines.items():
                assert old in text
                text = text.replace(old, new, 1)
            (written / file).write_text(text)
        return load(written, STANDARD)


def knows_repeats(name: str) -> bool:
    """Whether the APIs of this site make nothing twice that comes twice."""
    return "repeat_safety: none" not in SITES[name][1].values()
