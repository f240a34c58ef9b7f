"""How an API is used: which fields of which records routes send to it. What rules about it are asked with."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.canonical.base import Kind, Tag
from bridge.located import Place


@dataclass(frozen=True, slots=True)
class SentField:
    """One field of a record that a route sends, as the mapping classifies it; its place in the API's file."""

    record: str
    field: str
    kind: Kind
    tag: Tag
    place: Place


@dataclass(frozen=True, slots=True)
class Use:
    """How the routes of a site use one API.

    ``declared`` tells whether the file has the key that is asked about, ``place`` is that key's, or that of
    the API's name. ``routes`` are the places where routes name this API. ``here`` tells that it is on this
    machine, ``production`` that the environment is.
    """

    api: str
    declared: bool
    place: Place
    routes: tuple[Place, ...]
    fields: tuple[SentField, ...]
    here: bool
    production: bool
