"""Acknowledgements: when and how a source gave them, how a destination read them, and what that is here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from mirth_exports import channel, converted, script_step, sender

from bridge.catalog import STANDARD
from bridge.config.load import check
from bridge.migration.mirth.convert import Converted


def _lines(found: Converted, path: str) -> list[str]:
    return [line.strip() for line in found.files[path].splitlines()]


def _told(found: Converted, path: str = "channels/feed.yaml") -> str:
    """A file's comments as running text."""
    return " ".join(line.strip().lstrip("# ") for line in found.files[path].splitlines())


def _errors(found: Converted, folder: Path) -> list[str]:
    for path, text in found.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return [str(each) for each in check(folder, STANDARD).problems if each.severity == "error"]


def _queue(properties: str, response: str = "") -> str:
    group = f"<destinationConnectorProperties>{properties}</destinationConnectorProperties>"
    out = sender().replace("<remoteAddress>", f"{group}<remoteAddress>", 1)
    return channel(
        destinations=out.replace(
            "<enabled>", f"<responseTransformer>{response}</responseTransformer><enabled>"
        )
    )


VALIDATED = "<validateResponse>true</validateResponse>"
NOT_LOOKED_AT = "the receiver's answer was not looked at"

READINGS = {
    "not at all": (_queue("<validateResponse>false</validateResponse>"), 1, [NOT_LOOKED_AT]),
    "not at all, as nothing else is said": (channel(), 1, [NOT_LOOKED_AT]),
    "not at all, as it was ignored": (
        _queue(VALIDATED).replace("<remotePort>", "<ignoreResponse>true</ignoreResponse><remotePort>"),
        1,
        [NOT_LOOKED_AT, "was not waited for"],
    ),
    "with the usual codes": (_queue(VALIDATED), 1, []),
    "with retries": (_queue(f"{VALIDATED}<retryCount>4</retryCount>"), 5, ["4 retries and then an error"]),
    "as version 3.0 says it": (
        channel().replace("<remotePort>", "<processHL7ACK>true</processHL7ACK><remotePort>"), 1, []
    ),
    "with codes of its own": (
        _queue(
            VALIDATED,
            "<inboundProperties><responseValidationProperties><successfulACKCode>AA,AE</successfulACKCode>"
            "<validateMessageControlId>false</validateMessageControlId></responseValidationProperties>"
            "</inboundProperties>",
        ),
        1,
        ["AA,AE counted as success", "MSA-2 was not looked at"],
    ),
    "against another control ID": (
        _queue(
            VALIDATED,
            "<inboundProperties><responseValidationProperties><originalMessageControlId>Map_Variable"
            "</originalMessageControlId></responseValidationProperties></inboundProperties>",
        ),
        1,
        ["MSA-2 was held against 'Map_Variable'"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", READINGS)
def test_an_answer_of_a_receiver_is_read_as_before_or_the_difference_is_told(
    how: str, tmp_path: Path
) -> None:
    export, attempts, notes = READINGS[how]
    found = converted(export)
    api = _lines(found, "channels/apis/feed.out.yaml")
    assert [line for line in ("on_ae: quarantine", f"retry: {{poison_attempts: {attempts}}}") if line in api]
    assert any(
        line.startswith("on_poison: quarantine_and_continue") for line in _lines(found, "channels/feed.yaml")
    )
    for path in ("channels/apis/feed.out.yaml", "channels/feed.yaml"):
        told = _told(found, path)
        assert [each for each in notes if each not in told] == []
        assert (NOT_LOOKED_AT in told) == (NOT_LOOKED_AT in notes)
    assert _errors(found, tmp_path) == []


def test_where_a_step_has_a_message_sent_again_it_still_is() -> None:
    step = script_step("if (msg['MSA']['MSA.1']['MSA.1.1'].toString() == 'AE') { responseStatus = QUEUED; }")
    found = converted(_queue(VALIDATED, f"<elements>{step}</elements>"))
    assert "on_ae" not in found.files["channels/apis/feed.out.yaml"]
    assert "on_poison" not in found.files["channels/feed.yaml"]


def _generating(properties: str) -> str:
    group = f"<responseGenerationProperties>{properties}</responseGenerationProperties>"
    return channel().replace(
        "<outboundTemplate>", f"<inboundProperties>{group}</inboundProperties><outboundTemplate>", 1
    )


ANSWERED = {
    _generating("<successfulACKCode>CA</successfulACKCode><rejectedACKCode>AA</rejectedACKCode>"):
        "the acknowledgement had 'CA' for AA, 'AA' for AR; here AA, AE and AR",
    _generating("<rejectedACKMessage>no</rejectedACKMessage>"): "the text 'no' with AR",
    _generating("<dateFormat>yyyyMMdd</dateFormat>"): "times written as 'yyyyMMdd'",
    _generating("<msh15ACKAccept>true</msh15ACKAccept>"): "MSH-15 said whether an acknowledgement went back",
}  # fmt: skip


@pytest.mark.parametrize("export", ANSWERED, ids=ANSWERED.values())
def test_codes_and_texts_of_its_own_that_a_source_answered_with_are_told(export: str) -> None:
    assert ANSWERED[export] in _told(converted(export))


def test_the_usual_codes_and_texts_are_not_told() -> None:
    usual = _generating(
        "<successfulACKCode>AA</successfulACKCode><errorACKMessage>An Error Occurred Processing Message."
        "</errorACKMessage><dateFormat>yyyyMMddHHmmss.SSS</dateFormat>"
    )
    assert converted(usual).files == converted(channel()).files


def test_a_source_that_queued_before_it_processed_answers_at_once() -> None:
    queued = "<respondAfterProcessing>false</respondAfterProcessing></sourceConnectorProperties>"
    found = converted(channel().replace("</sourceConnectorProperties>", queued))
    assert "acknowledge: journaled" in _lines(found, "channels/feed.yaml")


def _old(kind: str, source: dict[str, str], sends: dict[str, str] | None = None) -> str:
    """A channel of version 2: its connectors are texts by name."""

    def connector(name: str, kind: str, texts: dict[str, str]) -> str:
        written = "".join(f'<property name="{key}">{text}</property>' for key, text in texts.items())
        return (
            f"<name>{name}</name><properties>{written}</properties><transformer><steps/><inboundProtocol>HL7V2"
            "</inboundProtocol><outboundProtocol>HL7V2</outboundProtocol></transformer><filter><rules/></filter>"
            f"<transportName>{kind}</transportName><enabled>true</enabled>"
        )

    out = {"host": "127.0.0.1", "port": "6671", "template": "${message.encodedData}", **(sends or {})}
    return (
        "<channel><id>0000-1</id><name>feed</name><version>2.2.1</version><sourceConnector>"
        f"{connector('sourceConnector', kind, source)}</sourceConnector><destinationConnectors><connector>"
        f"{connector('out', 'LLP Sender', out)}</connector></destinationConnectors></channel>"
    )


LLP = {"host": "127.0.0.1", "port": "6661"}
OLD_SOURCES = {
    "a listener that acknowledges, as by default": (
        _old("LLP Listener", LLP | {"sendACK": "1", "responseFromTransformer": "0", "responseValue": "None"}),
        ['listen: "tcp:6661:interface=127.0.0.1"', "acknowledge: translated"],
    ),
    "a listener of which nothing else is said": (_old("LLP Listener", LLP), ["acknowledge: translated"]),
    "a listener that does not": (
        _old("LLP Listener", {**LLP, "sendACK": "0", "responseValue": "None"}), ["acknowledge: never"]
    ),
    "a listener that answers with a destination's": (
        _old("LLP Listener", {**LLP, "sendACK": "0", "responseFromTransformer": "1", "responseValue": "d1"}),
        ["acknowledge: delivered"],
    ),
    "a listener without LLP": (
        _old("TCP Listener", {**LLP, "responseValue": "None"}),
        ["acknowledge: never"],
    ),
    "another end of messages": (
        _old("LLP Listener", {**LLP, "messageStart": "0x02", "messageEnd": "0x03"}),
        ['block: {start: "02", end: "03"}'],
    ),
    "a folder whose files stay": (
        _old("File Reader", {"scheme": "file", "host": "/in", "autoDelete": "0", "sortAttribute": "date",
                             "regex": "0", "checkFileAge": "1", "fileAge": "100"}),
        ["directory: /in", "after: keep", "order: time", "stable_for: 100ms"],
    ),
    "a folder whose files go": (
        _old("File Reader", {"scheme": "file", "host": "/in", "autoDelete": "1"}), ["after: delete"]
    ),
    "a folder whose files are moved": (
        _old("File Reader", {"scheme": "file", "host": "/in", "moveToDirectory": "/done"}), ["after: move"]
    ),
    "an HTTP listener": (
        _old("HTTP Listener", {**LLP, "receiverContextPath": "lab"}), ["http_in:", "path: /lab"]
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OLD_SOURCES)
def test_a_source_of_version_2_is_read_as_the_old_engine_itself_takes_it_over(
    name: str, tmp_path: Path
) -> None:
    export, expected = OLD_SOURCES[name]
    found = converted(export)
    lines = _lines(found, "channels/feed.yaml")
    assert [line for line in expected if line not in lines] == []
    assert _errors(found, tmp_path) == []


def test_a_sender_of_version_2_reads_answers_and_keeps_its_queue_settings() -> None:
    found = converted(
        _old("LLP Listener", LLP, {"hl7ProcessACK": "1", "usePersistentQueues": "0", "maxRetryCount": "2"})
    )
    told = _told(found)
    assert NOT_LOOKED_AT not in told
    assert "2 retries and then an error" in told
    assert "a receiver that is away was an error" in told
    assert NOT_LOOKED_AT in _told(converted(_old("LLP Listener", LLP, {"hl7ProcessACK": "0"})))


@pytest.mark.parametrize(
    ("said", "acknowledge"), [("None", "never"), ("Auto-generate (Before processing)", "journaled")]
)
def test_groups_of_version_3_0_are_read_under_their_old_names(said: str, acknowledge: str) -> None:
    queue = (
        "<queueConnectorProperties><queueEnabled>false</queueEnabled><threadCount>5</threadCount>"
        "</queueConnectorProperties>"
    )
    export = re.sub(
        "<sourceConnectorProperties>.*</sourceConnectorProperties>",
        f"<responseConnectorProperties><responseVariable>{said}</responseVariable></responseConnectorProperties>",
        channel(destinations=sender().replace("<remoteAddress>", f"{queue}<remoteAddress>", 1)),
    )
    found = converted(export)
    assert f"acknowledge: {acknowledge}" in _lines(found, "channels/feed.yaml")
    assert "limits: {in_flight: 5}" in _lines(found, "channels/apis/feed.out.yaml")
    assert "a receiver that is away was an error" in _told(found)
