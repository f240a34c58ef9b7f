"""What stands around channels: whether they ran, scripts and settings of the whole server, alerts, waves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mirth_exports import channel, converted, read, script_step, sender, trial

from bridge.catalog import STANDARD
from bridge.cli.shapes.machine import ChannelPlan as ChannelShape
from bridge.config.load import check
from bridge.migration.mirth.assess import HELD_WAVE, report
from bridge.migration.mirth.convert import convert
from bridge.migration.mirth.page import page

DISABLED = "<exportData><metadata><enabled>false</enabled></metadata></exportData>"


def _reported(*texts: str) -> dict[str, Any]:
    export = read(*texts)
    return report(export, convert(export, trial))


HELD = {
    "disabled": (DISABLED, "it was disabled"),
    "disabled, as version 2 says it": ("<enabled>false</enabled>", "it was disabled"),
    "stopped": ("<properties><initialState>STOPPED</initialState></properties>", "it was not started"),
    "stopped, as version 3.0 says it": (
        "<properties><initialStateStarted>false</initialStateStarted></properties>",
        "it was not started",
    ),
    "stopped, as version 2 says it": (
        '<properties><property name="initialState">stopped</property></properties>',
        "it was not started",
    ),
    "paused": ("<properties><initialState>PAUSED</initialState></properties>", "paused"),
}


@pytest.mark.parametrize("name", HELD)
def test_a_channel_that_did_not_run_does_not_run_here_by_itself(name: str) -> None:
    more, reason = HELD[name]
    text = channel(more=more)
    found = converted(text)
    assert "channels/feed.yaml" not in found.files
    file = found.files["unfinished/channels/feed.yaml"]
    assert "# HELD BACK: " in file
    assert reason in file
    assert "NOT FINISHED" not in file
    # It is whole: whoever wants it to run moves the file.
    assert "\n  - route: out\n" in file
    (row,) = _reported(text)["inventory"]
    assert (row["runs"], row["wave"]) == (False, HELD_WAVE)
    assert reason in row["held"]


def test_a_disabled_twin_on_the_port_of_a_live_channel_is_no_mistake(tmp_path: Path) -> None:
    found = converted(channel(), channel(name="twin", number=2, more=DISABLED))
    for path, text in found.files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    checked = check(tmp_path, STANDARD)
    assert [str(each) for each in checked.problems if each.severity == "error"] == []
    assert checked.topology is not None
    assert list(checked.topology.channels) == ["feed"]


def test_what_hands_on_to_a_channel_that_did_not_run_is_left_to_a_person() -> None:
    writer = (
        sender()
        .replace("tcp.TcpDispatcherProperties", "vm.VmDispatcherProperties")
        .replace("<remoteAddress>", "<channelId>0000-2</channelId><remoteAddress>")
    )
    reader = channel(name="reader", number=2, more=DISABLED).replace(
        "tcp.TcpReceiverProperties", "vm.VmReceiverProperties"
    )
    first, _ = converted(channel(destinations=writer), reader).channels
    (route,) = first.plan.routes
    assert route.way.outcome.word == "manual"
    assert "did not run" in route.way.outcome.reason


def _server(more: str, scripts: str = "") -> str:
    return (
        f"<serverConfiguration><channels>{channel()}</channels><globalScripts>{scripts}</globalScripts>{more}"
        "</serverConfiguration>"
    )


def _global(name: str, script: str) -> str:
    return f"<entry><string>{name}</string><string>{script}</string></entry>"


USUAL = "// Modify the message variable below\n/* for all\n * channels */\nreturn message;"

GLOBAL_SCRIPTS = {
    "one that changes every message": (_global("Preprocessor", "return message.trim();"), False, 2, 1),
    "one that does nothing": (_global("Preprocessor", USUAL), True, 1, 0),
    "one that only logs": (_global("Preprocessor", "logger.info('x');"), True, 1, 1),
    "one after each message": (_global("Postprocessor", "audit(message);"), True, 2, 1),
    "one as the server starts": (_global("Deploy", "globalMap.put('t', load());"), True, 2, 1),
}


@pytest.mark.parametrize("name", GLOBAL_SCRIPTS)
def test_scripts_of_the_whole_server_count_for_every_channel(name: str) -> None:
    scripts, runs, wave, elements = GLOBAL_SCRIPTS[name]
    found = _reported(_server("", scripts))
    (row,) = found["inventory"]
    assert (row["runs"], row["wave"], found["elements"]) == (runs, wave, elements)
    assert found["points"] == (1.0 if wave == 1 else 4.0)
    if not runs:
        assert row["blocked"] == [
            "the global preprocessor script, which every message of every channel passes"
        ]


def test_a_channel_of_which_something_is_left_to_a_person_is_not_of_the_first_wave() -> None:
    (row,) = _reported(channel(more="<postprocessingScript>audit(message);</postprocessingScript>"))[
        "inventory"
    ]
    assert (row["runs"], row["manual"], row["wave"]) == (True, 1, 2)


ALERT = (
    "<alertModel><name>Lab down</name><enabled>true</enabled><actionGroups><alertActionGroup><actions>"
    "<alertAction><protocol>Email</protocol><recipient>oncall@example</recipient></alertAction></actions>"
    "</alertActionGroup></actionGroups></alertModel>"
)
OLD_ALERT = "<alert><name>Lab down</name><emails><string>oncall@example</string></emails></alert>"
PRUNER = (
    "<pluginProperties><entry><string>{}</string><properties><property name='enabled'>{}</property>"
    "</properties></entry></pluginProperties>"
)
AROUND = {
    "alerts": (f"<alerts>{ALERT}</alerts>", [("alert", "Lab down (1 recipient)")]),
    "alerts of version 2": (f"<alerts>{OLD_ALERT}</alerts>", [("alert", "Lab down (1 recipient)")]),
    "a pruner": (PRUNER.format("Data Pruner", "true"), [("pruner", "Data Pruner, enabled")]),
    "a plugin": (PRUNER.format("HL7 Viewer", "true"), [("plugin", "HL7 Viewer")]),
    "the order of starting": (
        "<channelDependencies><channelDependency><dependentId>0000-1</dependentId><dependencyId>y"
        "</dependencyId></channelDependency></channelDependencies>",
        [("dependency", "feed after y")],
    ),
    "a mail server": (
        "<serverSettings><smtpHost>mail.example</smtpHost></serverSettings>",
        [("mail server", "mail.example")],
    ),
    "accounts": ("<users><user><username>a</username></user></users>", [("users", "1")]),
    "tags": ("<channelTags><channelTag><name>lab</name></channelTag></channelTags>", [("tag", "lab")]),
    "a resource": (
        "<resourceProperties><list><r><name>[Default Resource]</name></r><r><name>jars</name></r></list>"
        "</resourceProperties>",
        [("resource", "jars")],
    ),
}


@pytest.mark.parametrize("name", AROUND)
def test_what_a_server_sets_beside_its_channels_is_told(name: str) -> None:
    more, expected = AROUND[name]
    found = _reported(_server(more))
    assert [(each["kind"], each["name"]) for each in found["server"]] == expected
    assert found["refused"] == []
    assert "oncall@example" not in str(found)
    assert expected[0][1] in page(found)


@pytest.mark.parametrize("text", [ALERT, f"<list>{ALERT}</list>", f"<alerts>{OLD_ALERT}</alerts>"])
def test_alerts_in_a_file_of_their_own_are_told_beside_channels(text: str) -> None:
    found = _reported(channel(), text)
    assert [each["kind"] for each in found["server"]] == ["alert"]
    assert found["refused"] == []


SETTINGS = {
    "<messageStorageMode>DISABLED</messageStorageMode>": "not all of a message was stored (DISABLED)",
    "<removeContentOnCompletion>true</removeContentOnCompletion>": "see `retention.bodies`",
    "<encryptData>true</encryptData>": "what was stored was encrypted",
    "<pruneMetaDataDays>30</pruneMetaDataDays><pruneContentDays>7</pruneContentDays>":
        "`retention: {messages: 30d, bodies: 7d}`",
    '<property name="max_message_age">14</property>': "`retention: {messages: 14d}`",
    '<property name="store_messages">false</property>': "not all of a message was stored",
}  # fmt: skip


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting_of_a_whole_channel_is_told_in_its_file(setting: str) -> None:
    found = converted(channel(more=f"<properties>{setting}</properties>"))
    text = " ".join(line.lstrip("# ") for line in found.files["channels/feed.yaml"].splitlines())
    assert SETTINGS[setting] in text
    (row,) = _reported(channel(more=f"<properties>{setting}</properties>"))["inventory"]
    assert any(SETTINGS[setting] in note for note in row["differs"])


def test_settings_that_are_as_usual_are_not_told() -> None:
    usual = "<messageStorageMode>DEVELOPMENT</messageStorageMode><encryptData>false</encryptData>"
    plain, told = converted(channel()), converted(channel(more=f"<properties>{usual}</properties>"))
    assert plain.files == told.files


def test_the_report_has_the_shape_that_is_declared() -> None:
    (row,) = _reported(channel(script_step("x();")))["inventory"]
    assert set(row) == set(ChannelShape.__annotations__)
