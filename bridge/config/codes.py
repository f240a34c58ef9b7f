"""The codes of configuration problems, each with the sentence that explains it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "C101": "The text is not YAML; most often a value needs quotes.",
        "C102": "A key stands twice in one mapping; only one of the values could count.",
        "C103": "Anchors, aliases and merge keys are not taken: what a file says stands where it is used.",
        "C104": "Tags and directives are not taken: every value is text until its key gives it a meaning.",
        "C105": "One file holds one document.",
        "C106": "The file is empty, or holds something other than keys with values.",
        "C107": "Mappings and lists are nested deeper than any configuration needs.",
        "C108": "The file is larger than any configuration needs.",
        "C109": "YAML is indented with spaces, never with tabs.",
        "C110": "A character that cannot be seen stands in the file.",
        "C111": "The file is not UTF-8.",
        "C112": "A key is a list or a mapping; keys are text.",
        "C113": "YAML ended a value in the middle of an expression; the value needs quotes.",
        "C120": "This key is not known here.",
        "C121": "A key that is needed is missing.",
        "C122": "The value is not one that this key can have.",
        "C123": "No component of this kind has this name.",
        "C130": "A route names a mapping that no file defines.",
        "C131": "A route names an API that no file defines.",
        "C132": "A route names an operation that its API does not have.",
        "C133": "A route carries a record that is not known, or that its mapping does not make.",
        "C134": "A channel accepts a message type that none of its mappings accepts.",
        "C135": "An operation names a field that the record of a route does not have.",
        "C136": "A path has a placeholder for a field that the operation may not send.",
        "C137": "A mapping can make an operation for which a route names no call: such records stop there.",
        "C138": "Two channels listen on one port.",
        "C139": "Two files or routes have one name.",
        "C140": "An API outside this machine is called without a credential or without encryption.",
        "C141": "Nothing uses this.",
        "C142": "A channel and its mapping read different formats.",
        "C143": "A route and its API do not agree on what is sent: records, messages made, or what came.",
        "C144": "Whole messages leave without a word that the receiver may have patients' data.",
        "C145": "An API is to be asked before a call is repeated, and an operation does not say how.",
        "C146": "An API is sent messages that a mapping makes, and the mapping of a route to it makes none.",
        "C150": "The folder is not one that holds a configuration.",
        "C151": "There is no channel.",
        "C152": "A file or folder cannot be read.",
        "C153": "A file lies outside the configuration's folder.",
        "C154": "A file is not read because of its name.",
        "C155": "There are more files than any configuration needs.",
        "C160": "An environment variable has a value that cannot be used.",
        "C161": "A secret that a file refers to cannot be had.",
        "C170": "A file refers to a value that the environment does not have.",
        "C171": "A reference to a value stands where none can: in a text, as a key, in a mapping.",
        "C172": "The environment that values are taken from was not named, or is not there.",
        "C190": "This is designed, but not built in this version.",
        "C191": "This is read, but has no effect in this version.",
    }
)
