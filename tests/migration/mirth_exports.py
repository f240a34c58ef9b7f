"""Small exports, written by name: what a test does not say is as the old engine fills it in."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from bridge.config.yaml_tree import read_tree_bytes
from bridge.located import Mapping, Problem
from bridge.mapping.compile import compile_mapping
from bridge.mapping.plan import Plan
from bridge.migration.mirth.convert import Converted, convert
from bridge.migration.mirth.model import Export
from bridge.migration.mirth.read import join, read_export

_PLUGINS = "com.mirth.connect.plugins"


def trial(text: str) -> tuple[Plan | None, list[Problem]]:
    """What a mapping file comes to, and what the language says of it."""
    tree, problems = read_tree_bytes(text.encode(), "mapping.yaml")
    assert isinstance(tree, Mapping), problems
    plan, found = compile_mapping(tree, digest="0" * 64)
    return plan, [*problems, *found]


def script_step(script: str, name: str = "a script") -> str:
    """A step of JavaScript."""
    kind = f"{_PLUGINS}.javascriptstep.JavaScriptStep"
    return f"<{kind}><name>{escape(name)}</name><script>{escape(script)}</script></{kind}>"


def script_rule(script: str, operator: str = "NONE") -> str:
    """A rule of JavaScript."""
    kind = f"{_PLUGINS}.javascriptrule.JavaScriptRule"
    return f"<{kind}><operator>{operator}</operator><script>{escape(script)}</script></{kind}>"


def mapper(
    variable: str, mapping: str, default: str = "", replacements: Sequence[tuple[str, str]] = ()
) -> str:
    """A Mapper."""
    kind = f"{_PLUGINS}.mapper.MapperStep"
    pair = "org.apache.commons.lang3.tuple.ImmutablePair"
    pairs = "".join(
        f"<{pair}><left>{escape(left)}</left><right>{escape(right)}</right></{pair}>"
        for left, right in replacements
    )
    return (
        f"<{kind}><name>{variable}</name><variable>{variable}</variable><mapping>{escape(mapping)}</mapping>"
        f"<defaultValue>{escape(default)}</defaultValue><replacements>{pairs}</replacements>"
        f"<scope>CHANNEL</scope></{kind}>"
    )


def message_builder(segment: str, mapping: str) -> str:
    """A Message Builder."""
    kind = f"{_PLUGINS}.messagebuilder.MessageBuilderStep"
    return (
        f"<{kind}><name>a builder</name><messageSegment>{escape(segment)}</messageSegment>"
        f"<mapping>{escape(mapping)}</mapping><defaultValue></defaultValue><replacements></replacements></{kind}>"
    )


def iterator(target: str, steps: str) -> str:
    """An iterator with its steps."""
    kind = "com.mirth.connect.model.IteratorStep"
    return (
        f"<{kind}><name>each</name><properties><target>{escape(target)}</target><indexVariable>i</indexVariable>"
        f"<children>{steps}</children></properties></{kind}>"
    )


def rule(field: str, condition: str, values: Sequence[str] = (), operator: str = "NONE") -> str:
    """A rule of the Rule Builder."""
    kind = f"{_PLUGINS}.rulebuilder.RuleBuilderRule"
    listed = "".join(f"<string>{escape(value)}</string>" for value in values)
    return (
        f"<{kind}><name>a rule</name><operator>{operator}</operator><field>{escape(field)}</field>"
        f"<condition>{condition}</condition><values>{listed}</values></{kind}>"
    )


def sender(
    name: str = "out", steps: str = "", rules: str = "", number: int = 1, host: str = "192.0.2.10"
) -> str:
    """A destination that sends the message over MLLP."""
    return (
        f"<connector><metaDataId>{number}</metaDataId><name>{name}</name>"
        '<properties class="com.mirth.connect.connectors.tcp.TcpDispatcherProperties">'
        f"<remoteAddress>{host}</remoteAddress><remotePort>6660</remotePort>"
        "<template>${message.encodedData}</template></properties>"
        f"<transformer><elements>{steps}</elements><inboundDataType>HL7V2</inboundDataType>"
        "<outboundDataType>HL7V2</outboundDataType></transformer>"
        f"<filter><elements>{rules}</elements></filter><enabled>true</enabled></connector>"
    )


def channel(
    steps: str = "", rules: str = "", destinations: str = "", *, name: str = "feed", number: int = 1,
    more: str = "", inbound: str = "HL7V2", outbound: str = "HL7V2", template: str = "", port: int = 6661,
) -> str:  # fmt: skip
    """A channel that listens for MLLP."""
    return (
        f'<channel version="4.5.2"><id>0000-{number}</id><name>{escape(name)}</name><revision>1</revision>'
        "<sourceConnector><metaDataId>0</metaDataId><name>sourceConnector</name>"
        '<properties class="com.mirth.connect.connectors.tcp.TcpReceiverProperties">'
        f"<listenerConnectorProperties><host>0.0.0.0</host><port>{port}</port></listenerConnectorProperties>"
        "<sourceConnectorProperties><responseVariable>Auto-generate (After source transformer)"
        "</responseVariable></sourceConnectorProperties></properties>"
        f"<transformer><elements>{steps}</elements><inboundDataType>{inbound}</inboundDataType>"
        f"<outboundDataType>{outbound}</outboundDataType>"
        f"<outboundTemplate>{escape(template)}</outboundTemplate></transformer>"
        f"<filter><elements>{rules}</elements></filter><enabled>true</enabled></sourceConnector>"
        f"<destinationConnectors>{destinations or sender()}</destinationConnectors>{more}</channel>"
    )


def read(*texts: str) -> Export:
    """Exports, read and joined."""
    export = Export()
    for number, text in enumerate(texts, start=1):
        read_export(text.encode(), f"{number}.xml", export)
    return join(export)


def converted(*texts: str) -> Converted:
    """Exports, read and converted."""
    return convert(read(*texts), trial)
