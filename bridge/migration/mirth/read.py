"""Exports become an `Export`: channels, groups, server configurations, libraries, trees of mirthsync.

Nothing is executed and nothing is fetched. What cannot be read is told with its reason, and the rest goes on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from bridge.migration.mirth.model import (
    Channel,
    CodeTemplate,
    Element,
    Export,
    Group,
    Library,
    Refused,
)
from bridge.migration.mirth.read_connectors import read_connector
from bridge.migration.mirth.read_server import alert_of, server_items
from bridge.migration.mirth.secrets import take_secrets
from bridge.migration.mirth.settings import settings_of
from bridge.migration.mirth.xml_tree import UNITS, ExportRefused, Node, read_xml

CHANNELS_MAX_COUNT: Final = 5_000
SCRIPT_REFERENCE: Final = "msync-fileref"
"""The attribute with which mirthsync says that a text stands in a file beside this one."""
_ROOTS: Final = frozenset(
    {
        "channel",
        "channelGroup",
        "serverConfiguration",
        "codeTemplateLibrary",
        "codeTemplate",
        "list",
        "map",
        "set",
        "globalScripts",
        "channels",
        "codeTemplateLibraries",
        "channelGroups",
        "alertModel",
        "alert",
        "alerts",
    }
)
"""What the root of a file may be that is read."""
_OWNERS: Final = {"globalScripts": "(all channels)"}
"""Whose secrets are those of a unit that has no name."""
_DO_NOTHING: Final = frozenset({"", "return;", "return message;", "return"})
_BLOCK_COMMENT: Final = re.compile(r"/\*(?:[^*]|\*(?!/))*\*/")
_SCRIPTS: Final = {
    "preprocessingScript": "preprocessor",
    "postprocessingScript": "postprocessor",
    "deployScript": "deploy script",
    "undeployScript": "undeploy script",
    "shutdownScript": "shutdown script",
}


def read_export(data: bytes, file: str, into: Export, beside: Mapping[str, str] | None = None) -> None:
    """Read one file and add what is in it to ``into``; what is wrong with it becomes a `Refused` there.

    ``beside`` are the scripts that a tree of mirthsync keeps in files of their own, by name.
    """
    reading = _Reading(file, into, beside or {})
    try:
        root = read_xml(data, reading.take)
        if root.tag not in _ROOTS:
            raise ExportRefused(
                f"the root is <{root.tag[:60]}>: this is no channel, group, library, script, alert or server "
                "configuration"
            )
        reading.finish(root)
    except ExportRefused as refused:
        into.refused.append(Refused(file, str(refused)))


def join(export: Export) -> Export:
    """What several files say of one thing, put together: templates in libraries, libraries in channels."""
    loose = {each.id: each for each in export.loose_templates}
    libraries: dict[str, Library] = {}
    for library in export.libraries:
        filled = tuple(loose.get(each.id, each) if not each.code else each for each in library.templates)
        earlier = libraries.get(library.id)
        if earlier is None or _codes(filled) >= _codes(earlier.templates):
            libraries[library.id] = replace(library, templates=filled)
    export.libraries = list(libraries.values())
    seen: dict[tuple[str, str], Channel] = {}
    for channel in export.channels:
        own = {library.id for library in channel.libraries}
        more = [each for each in export.libraries if each.id not in own and each.is_for(channel.id)]
        key = (channel.id, channel.name)
        known = seen.get(key)
        if known is not None:
            older, newer = sorted((known, channel), key=lambda each: _number(each.revision))
            revision = f"revision {newer.revision or '?'} of {newer.file}"
            reason = f"the channel {channel.name} is there twice: {revision} counts"
            export.refused.append(Refused(older.file, reason))
            channel = newer  # noqa: PLW2901 - the newer one takes the place
        seen[key] = channel if channel is known else replace(channel, libraries=(*channel.libraries, *more))
    export.channels = sorted(seen.values(), key=lambda each: (each.name.lower(), each.id))
    return export


def _codes(templates: tuple[CodeTemplate, ...]) -> int:
    return sum(bool(each.code) for each in templates)


def _number(text: str) -> int:
    return int(text[:9]) if text.isdecimal() else 0


class _Reading:
    def __init__(self, file: str, into: Export, beside: Mapping[str, str]) -> None:
        self._file = file
        self._into = into
        self._beside = beside

    def take(self, node: Node) -> None:
        """One unit. What is wrong with it is told, and the next one goes on."""
        try:
            self._unit(node)
        except ExportRefused as refused:
            self._into.refused.append(Refused(self._file, str(refused)))

    def _unit(self, node: Node) -> None:
        self._fill(node)
        if node.tag != "channel" or node.get("sourceConnector") is not None:
            self._into.secrets += take_secrets(node, _OWNERS.get(node.tag, "") or node.at("name").strip())
        match node.tag:
            case "channel":
                self._channel(node)
            case "channelGroup":
                ids = [each.at("id") for each in _below(node, "channels") if each.at("id")]
                self._into.groups.append(Group(node.at("name").strip(), tuple(ids)))
            case "codeTemplateLibrary":
                self._into.libraries.append(_library(node))
            case "codeTemplate":
                self._into.loose_templates.append(_template(node))
            case "globalScripts":
                self._global_scripts(node)
            case "alertModel" | "alert":
                self._into.server.append(alert_of(node))

    def finish(self, root: Node) -> None:
        """What stands in the file beside its units: the configuration map."""
        self._fill(root)
        if root.tag not in UNITS:
            self._into.secrets += take_secrets(root, "the server's configuration")
        for holder in root.every():
            if holder.tag == "configurationMap" or (holder.tag == "map" and holder.parent is None):
                self._configuration(holder)
        self._into.server += server_items(root)

    def _fill(self, node: Node) -> None:
        """Texts that stand in files beside this one."""
        if not self._beside:
            return
        for each in node.every():
            name = each.attributes.get(SCRIPT_REFERENCE)
            if name is not None and not each.text:
                each.text = self._beside.get(name, "")

    def _channel(self, node: Node) -> None:
        name = node.at("name").strip()
        source = node.get("sourceConnector")
        if source is None:
            # A group may hold channels by their id alone.
            self._into.stubs.add(node.at("id"))
            return
        if len(self._into.channels) >= CHANNELS_MAX_COUNT:
            raise ExportRefused(f"more than {CHANNELS_MAX_COUNT} channels")
        self._into.channels.append(_channel(node, name, source, self._file))

    def _global_scripts(self, node: Node) -> None:
        for entry in node.children:
            if len(entry.children) == 2 and (text := entry.children[1].text) and not _does_nothing(text):
                title = f"global {entry.children[0].text.strip().lower()} script"
                xpath = entry.children[1].xpath
                self._into.global_scripts.append(
                    Element("script", "channel", title, xpath, "global", True, "", {"script": text})
                )

    def _configuration(self, holder: Node) -> None:
        for entry in holder.children:
            if entry.tag == "entry" and len(entry.children) == 2:
                key, value = entry.children
                self._into.configuration[key.text] = value.at("value") if value.children else value.text


def _channel(node: Node, name: str, source: Node, file: str) -> Channel:
    holder = node.get("destinationConnectors")
    destinations = [
        read_connector(each, source=False, number=number)
        for number, each in enumerate([] if holder is None else holder.children, start=1)
    ]
    exported = "exportData/"
    enabled = node.at(exported + "metadata/enabled") or node.at("enabled")
    libraries = [
        _library(each)
        for path in (exported + "codeTemplateLibraries", "codeTemplateLibraries")
        for each in _below(node, path)
    ]
    depends = [each.text.strip() for each in _below(node, exported + "dependencyIds")]
    tags = [each.at("name") or each.text.strip() for each in _below(node, exported + "channelTags")]
    attachments = node.at("properties/attachmentProperties/type").strip()
    return Channel(
        node.at("id").strip() or f"{file}:{node.line}",
        name or f"unnamed-{node.line}",
        node.at("description").strip(),
        node.attributes.get("version", "") or node.at("version").strip(),
        node.at("revision").strip(),
        enabled.strip() != "false",
        _initial_state(node),
        read_connector(source, source=True, number=0),
        tuple(destinations),
        tuple(_channel_scripts(node)),
        tuple(libraries),
        tuple(each for each in depends if each),
        tuple(each for each in tags if each),
        "" if attachments.lower() in ("", "none") else attachments,
        tuple(
            each.at("name")
            for each in _below(node, "properties/metaDataColumns")
            if each.at("name") not in ("SOURCE", "TYPE")
        ),
        file,
        node.xpath,
        settings_of(node),
    )


def _initial_state(node: Node) -> str:
    """As version 4 has it; 3.0 only knew whether a channel starts."""
    if node.at("properties/initialStateStarted").strip() == "false":
        return "STOPPED"
    return node.at("properties/initialState").strip() or _old_property(node, "initialState")


def _old_property(node: Node, name: str) -> str:
    holder = node.get("properties")
    return next(
        (
            each.text.strip()
            for each in ([] if holder is None else holder.children)
            if each.attributes.get("name") == name
        ),
        "",
    )


def _channel_scripts(node: Node) -> list[Element]:
    found = []
    for tag, title in _SCRIPTS.items():
        child = node.get(tag)
        if child is not None and not _does_nothing(child.text):
            found.append(
                Element("script", "channel", title, child.xpath, tag, True, "", {"script": child.text})
            )
    attachment = node.get("properties")
    script = None if attachment is None else attachment.get("attachmentProperties")
    for each in [] if script is None else script.every():
        if each.text.strip() and any(word in each.text for word in ("addAttachment", "return ")):
            fields = {"script": each.text}
            title = "attachment script"
            found.append(Element("script", "channel", title, each.xpath, "attachment", True, "", fields))
    return found


def _does_nothing(script: str) -> bool:
    """Whether a script is as the old engine fills it in: comments, and the message given back."""
    lines = (line.strip() for line in _BLOCK_COMMENT.sub("", script).splitlines())
    return " ".join(line for line in lines if line and not line.startswith("//")) in _DO_NOTHING


def _below(node: Node, path: str) -> list[Node]:
    found: Node | None = node
    for tag in path.split("/"):
        found = None if found is None else found.get(tag)
    return [] if found is None else found.children


def _library(node: Node) -> Library:
    return Library(
        node.at("id").strip() or node.at("name").strip(),
        node.at("name").strip(),
        tuple(_template(each) for each in _below(node, "codeTemplates") if each.tag == "codeTemplate"),
        frozenset(each.text.strip() for each in _below(node, "enabledChannelIds")),
        node.at("includeNewChannels").strip() == "true",
        frozenset(each.text.strip() for each in _below(node, "disabledChannelIds")),
    )


def _template(node: Node) -> CodeTemplate:
    return CodeTemplate(
        node.at("id").strip(),
        node.at("name").strip(),
        (node.at("properties/type") or node.at("type")).strip(),
        node.at("properties/code") or node.at("code"),
        node.xpath,
    )
