"""Settings of connectors that have no counterpart, or another one: each is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from mirth_exports import channel, converted, mapper, sender

from bridge.catalog import STANDARD
from bridge.config.load import check
from bridge.migration.mirth.convert import Converted

_CONNECTORS = "com.mirth.connect.connectors"


def _with(text: str, kind: str, properties: str) -> str:
    start, end = text.index("<properties class"), text.index("</properties>") + len("</properties>")
    return f'{text[:start]}<properties class="{_CONNECTORS}.{kind}">{properties}</properties>{text[end:]}'


def _reader(properties: str) -> str:
    return _with(channel(), "file.FileReceiverProperties", f"<host>/in</host>{properties}")


def _writer(properties: str, name: str = "out", number: int = 1) -> str:
    template = "<host>/out</host><template>${message.encodedData}</template>"
    return _with(sender(name, number=number), "file.FileDispatcherProperties", f"{properties}{template}")


def _sender(properties: str) -> str:
    return channel(destinations=sender().replace("<remotePort>", f"{properties}<remotePort>"))


def _queued(properties: str) -> str:
    return _sender(f"<destinationConnectorProperties>{properties}</destinationConnectorProperties>")


def _listener(properties: str) -> str:
    return channel().replace("<listenerConnectorProperties>", f"{properties}<listenerConnectorProperties>", 1)


def _reading(properties: str, steps: str = "") -> str:
    group = f"<serializationProperties>{properties}</serializationProperties>"
    return channel(steps).replace(
        "<outboundTemplate>", f"<inboundProperties>{group}</inboundProperties><outboundTemplate>", 1
    )


_SCHEDULE = (
    "<pollConnectorProperties><pollingType>INTERVAL</pollingType><pollConnectorPropertiesAdvanced>{}"
    "</pollConnectorPropertiesAdvanced></pollConnectorProperties>"
)
_MOVED = "<errorReadingAction>MOVE</errorReadingAction><errorMoveToDirectory>/err</errorMoveToDirectory>"
_AFTER = "<afterProcessingAction>MOVE</afterProcessingAction>"

TOLD = {
    "files that failed, moved": (_reader(_AFTER + _MOVED), "a file that could not be read went to '/err'"),
    "files that failed, deleted": (
        _reader("<errorReadingAction>DELETE</errorReadingAction>"),
        "a file that could not be read was deleted; here it stays where it is",
    ),
    "files that failed, left": (
        _reader(_AFTER),
        "a file that could not be read stayed; here it goes to `errors`",
    ),
    "files whose messages failed": (
        _reader("<errorResponseAction>MOVE</errorResponseAction>"),
        "a file whose messages failed went to the same place",
    ),
    "files that stay": (_reader(""), "a file stayed, and was taken again at each look"),
    "small files": (_reader("<fileSizeMinimum>10</fileSizeMinimum>"), "files of fewer than 10 bytes"),
    "large files": (
        _reader(
            "<fileSizeMaximum>5000</fileSizeMaximum><ignoreFileSizeMaximum>false</ignoreFileSizeMaximum>"
        ),
        "max_size: 5000B",
    ),
    "files by size": (_reader("<sortBy>size</sortBy>"), "files came by their size"),
    "files with a dot": (_reader("<ignoreDot>false</ignoreDot>"), "whose names begin with a dot"),
    "files as binary": (_reader("<binary>true</binary>"), "files were taken as binary"),
    "hours of looking": (
        _reader(_SCHEDULE.format("<allDay>false</allDay>")),
        "only on some days or at some hours",
    ),
    "days of looking": (
        _reader(_SCHEDULE.format("<weekly>false</weekly><dayOfMonth>1</dayOfMonth>")),
        "only on some days or at some hours",
    ),
    "a character set of files": (
        channel(destinations=_writer("<charsetEncoding>ISO-8859-1</charsetEncoding>")),
        "it was sent in iso-8859-1: write `charset: iso-8859-1` in the mapping",
    ),
    "a character set of what is sent on": (
        channel(destinations=_writer("<charsetEncoding>ISO-8859-1</charsetEncoding>")).replace(
            "${message.encodedData}", "${message.rawData}"
        ),
        "it was sent in iso-8859-1; here byte for byte",
    ),
    "files that are there": (
        channel(destinations=_writer("<errorOnExists>true</errorOnExists>")),
        "a file that was there was an error",
    ),
    "a queue that turns": (_queued("<rotate>true</rotate>"), "went behind the rest of the queue"),
    "threads by a variable": (
        _queued("<threadAssignmentVariable>mrn</threadAssignmentVariable>"),
        "had the same 'mrn' kept its order",
    ),
    "an own address": (
        _sender(
            "<overrideLocalBinding>true</overrideLocalBinding><localAddress>10.0.0.7</localAddress>"
            "<localPort>0</localPort>"
        ),
        "it connected from '10.0.0.7:0'",
    ),
    "a connection for each call": (
        _sender("<keepConnectionOpen>false</keepConnectionOpen>"),
        "the connection was closed after each message",
    ),
    "a connection for each message": (
        _listener("<keepConnectionOpen>false</keepConnectionOpen>"),
        "the connection was closed after each message",
    ),
    "threads of a source": (
        channel().replace(
            "<responseVariable>", "<processingThreads>4</processingThreads><responseVariable>", 1
        ),
        "4 threads took messages at once",
    ),
    "folders below": (_reader("<directoryRecursion>true</directoryRecursion>"), "here eight deep, `depth`"),
    "looking by the clock": (
        _reader("<pollConnectorProperties><pollingType>CRON</pollingType></pollConnectorProperties>"),
        "by the clock (CRON)",
    ),
    "blocks that are acknowledged": (
        _sender(
            "<transmissionModeProperties class='x'><pluginPointName>MLLP</pluginPointName>"
            "<useMLLPv2>true</useMLLPv2></transmissionModeProperties>"
        ),
        "MLLP v2 waited for a byte",
    ),
    "TLS of a plugin": (
        _sender(
            "<pluginProperties><com.mirth.connect.plugins.ssl.SslProperties><enabled>true</enabled>"
            "</com.mirth.connect.plugins.ssl.SslProperties></pluginProperties>"
        ),
        "settings of plugins are not taken over: Ssl",
    ),
    "a login of a plugin": (
        _listener(
            "<pluginProperties><com.mirth.connect.plugins.httpauth.BasicHttpAuthProperties><realm>r</realm>"
            "</com.mirth.connect.plugins.httpauth.BasicHttpAuthProperties></pluginProperties>"
        ),
        "settings of plugins are not taken over: BasicHttpAuth",
    ),
    "reading by structure": (_reading("<useStrictParser>true</useStrictParser>"), "by their structure"),
    "reading by the standard": (
        _reading("<useStrictValidation>true</useStrictValidation>"),
        "messages that differ from the standard",
    ),
    "other ends of segments": (
        _reading("<segmentDelimiter>0x0A</segmentDelimiter>"),
        "segments ended with '0x0A'; here with CR",
    ),
    "values with a tilde": (
        _reading("<handleRepetitions>false</handleRepetitions>", mapper("x", "'1'")),
        "`~` was part of a value",
    ),
    "values with an ampersand": (
        _reading("<handleSubcomponents>false</handleSubcomponents>", mapper("x", "'1'")),
        "`&` was part of a value",
    ),
    "other ends of segments on the way out": (
        channel(
            destinations=sender().replace(
                "</transformer>",
                "<outboundProperties><deserializationProperties><segmentDelimiter>0x0A</segmentDelimiter>"
                "</deserializationProperties></outboundProperties></transformer>",
                1,
            )
        ),
        "segments were written with '0x0A'",
    ),
    "destinations in a row": (
        channel(destinations=sender() + sender("two", number=2)),
        "went to its destinations one after the other",
    ),
}  # fmt: skip


def _text(found: Converted) -> str:
    return " ".join(line.strip().lstrip("# ") for line in found.files["channels/feed.yaml"].splitlines())


def _errors(found: Converted, folder: Path) -> list[str]:
    for path, text in found.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return [str(each) for each in check(folder, STANDARD).problems if each.severity == "error"]


@pytest.mark.parametrize("name", TOLD)
def test_a_setting_that_differs_is_told_beside_the_line(name: str, tmp_path: Path) -> None:
    export, words = TOLD[name]
    found = converted(export)
    assert words in _text(found)
    assert words not in _text(converted(channel()))
    assert _errors(found, tmp_path) == []


_UNFRAMED = (
    "<transmissionModeProperties class='x'><pluginPointName>{}</pluginPointName><startOfMessageBytes/>"
    "<endOfMessageBytes/></transmissionModeProperties>"
)


@pytest.mark.parametrize(
    ("mode", "reason"), [("Basic", "without frames"), ("Own", "the frames of the plugin Own")]
)
def test_frames_that_cannot_be_said_are_left_to_a_person(mode: str, reason: str) -> None:
    properties = _UNFRAMED.format(mode)
    (source,) = converted(_listener(properties)).channels
    (target,) = converted(_sender(properties)).channels
    assert reason in source.plan.source.outcome.reason
    assert reason in target.plan.routes[0].way.outcome.reason


_SFTP = "<scheme>SFTP</scheme><host>sftp.example/in</host><username>hub</username><password>p</password>"
_KEY = (
    "<schemeProperties class='x.SftpSchemeProperties'><passwordAuth>{}</passwordAuth><keyAuth>true</keyAuth>"
    "<keyFile>/k/id_rsa</keyFile><passPhrase>{}</passPhrase></schemeProperties>"
)
LOGINS = {
    "a key": (
        _KEY.format("false", ""),
        ["key: secret://file/feed-key.pem"],
        ["password:", "key_passphrase:"],
    ),
    "a key with a passphrase": (
        _KEY.format("false", "Invented-77!x"),
        ["key: secret://file/feed-key.pem", "key_passphrase: secret://file/feed-key.passphrase"],
        ["password:"],
    ),
    "both": (
        _KEY.format("true", ""),
        ["password: secret://env/FEED_PASSWORD", "key: secret://file/feed-key.pem"],
        ["key_passphrase:"],
    ),
    "a password": ("", ["password: secret://env/FEED_PASSWORD"], ["key:"]),
}


@pytest.mark.parametrize("how", LOGINS)
def test_a_login_by_key_stays_one_and_says_where_the_key_goes(how: str, tmp_path: Path) -> None:
    properties, expected, absent = LOGINS[how]
    found = converted(_with(channel(), "file.FileReceiverProperties", f"{_SFTP}{properties}"))
    lines = [line.strip() for line in found.files["channels/feed.yaml"].splitlines()]
    assert [line for line in expected if line not in lines] == []
    assert [line for line in lines if line.startswith(tuple(absent))] == []
    assert ("'/k/id_rsa'" in _text(found)) == ("key" in how or how == "both")
    assert "Invented-77!x" not in str(found.files)
    assert _errors(found, tmp_path) == []


def test_destinations_whose_names_differ_in_signs_alone_get_names_of_their_own(tmp_path: Path) -> None:
    names = ("Lab (prod)", "Lab [prod]")
    folders = [
        _writer("", name, number).replace("<host>/out</host>", f"<host>${{folder{number}}}</host>")
        for number, name in enumerate(names, start=1)
    ]
    found = converted(channel(destinations="".join(folders)))
    text = found.files["channels/feed.yaml"]
    assert "- route: lab-prod\n" in text
    assert "- route: lab-prod-2\n" in text
    assert {line.strip() for line in str(found.files).split("\\n") if "directory: value://" in line} == {
        "directory: value://feed-lab-prod-folder",
        "directory: value://feed-lab-prod-2-folder",
    }
    assert _errors(found, tmp_path) == []


def test_channels_do_not_share_what_their_destinations_log_in_with() -> None:
    out = _with(
        sender(), "file.FileDispatcherProperties", f"{_SFTP}<template>${{message.encodedData}}</template>"
    )
    found = converted(channel(destinations=out), channel(destinations=out, name="other", number=2, port=6662))
    text = str(found.files)
    assert "secret://env/FEED_OUT_PASSWORD" in text
    assert "secret://env/OTHER_OUT_PASSWORD" in text
