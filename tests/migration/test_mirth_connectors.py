"""Sources and destinations: what each setting becomes, and what a person is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from mirth_exports import channel, converted, mapper, rule, script_rule, script_step, sender

from bridge.catalog import STANDARD
from bridge.config.load import check
from bridge.migration.mirth.convert import Converted

OBX5 = "msg['OBX'][i]['OBX.5']['OBX.5.1'].toString()"


def _mapping(found: Converted) -> str:
    return found.files.get("mappings/feed.yaml", "")


def _site(found: Converted, folder: Path) -> list[str]:
    for path, text in found.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    (folder / "channels").mkdir(exist_ok=True)
    return [str(each) for each in check(folder, STANDARD).problems if each.severity == "error"]


def _reader(properties: str, inbound: str = "HL7V2") -> str:
    old = channel(inbound=inbound)
    start, end = old.index("<properties class"), old.index("</properties>") + len("</properties>")
    kind = "com.mirth.connect.connectors.file.FileReceiverProperties"
    return old[:start] + f'<properties class="{kind}">{properties}</properties>' + old[end:]


READERS = {
    "a folder": (
        "<scheme>FILE</scheme><host>/in/adt</host><fileFilter>*.hl7,*.txt</fileFilter>"
        "<pollConnectorProperties><pollingType>INTERVAL</pollingType><pollingFrequency>2000</pollingFrequency>"
        "</pollConnectorProperties><afterProcessingAction>DELETE</afterProcessingAction>"
        "<checkFileAge>true</checkFileAge><fileAge>1500</fileAge><sortBy>date</sortBy><directoryRecursion>true</directoryRecursion>",
        ["directory: /in/adt", 'include: ["*.hl7", "*.txt"]', "poll: 2000ms", "after: delete",
         "stable_for: 1500ms", "order: time", "depth: 8"],
    ),
    "a folder of the configuration map": (
        "<scheme>FILE</scheme><host>${inDir}</host><afterProcessingAction>NONE</afterProcessingAction>",
        ["directory: value://feed-in", "after: keep"],
    ),
    "a folder of an SFTP server": (
        "<scheme>SFTP</scheme><host>Sftp.example:2222/out/adt</host><username>hub</username>"
        "<password>invented</password><fileFilter>*.hl7</fileFilter>",
        ["sftp:", "host: sftp.example", "port: 2222", 'user: "hub"', "directory: /out/adt",
         'include: ["*.hl7"]', "password: secret://env/FEED_PASSWORD", "host_keys: [value://feed-host-key]"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", READERS)
def test_a_file_reader_becomes_a_source_of_files(name: str, tmp_path: Path) -> None:
    properties, expected = READERS[name]
    found = converted(_reader(properties))
    lines = [line.strip() for line in found.files["channels/feed.yaml"].splitlines()]
    assert [line for line in expected if line not in lines] == []
    assert _site(found, tmp_path) == []


HTTP = (
    "<listenerConnectorProperties><host>0.0.0.0</host><port>8002</port></listenerConnectorProperties>"
    "<contextPath>lab/results</contextPath>"
)


def test_an_http_listener_becomes_http_in_with_a_token(tmp_path: Path) -> None:
    kind = "com.mirth.connect.connectors.http.HttpReceiverProperties"
    old = _reader(HTTP).replace("com.mirth.connect.connectors.file.FileReceiverProperties", kind)
    found = converted(old)
    lines = [line.strip() for line in found.files["channels/feed.yaml"].splitlines()]
    wanted = ["http_in:", 'listen: "tcp:8002"', "path: /lab/results",
              "tokens: {old-sender: secret://env/FEED_TOKEN}"]  # fmt: skip
    assert [line for line in wanted if line not in lines] == []
    assert found.channels[0].plan.source.outcome.word == "approximated"
    assert _site(found, tmp_path) == []
    (made,) = converted(old.replace("<contextPath>", "<xmlBody>true</xmlBody><contextPath>")).channels
    assert "XML" in made.plan.source.outcome.reason


def _writer(properties: str) -> str:
    old = sender()
    start, end = old.index("<properties class"), old.index("</properties>") + len("</properties>")
    kind = "com.mirth.connect.connectors.file.FileDispatcherProperties"
    written = f"{properties}<template>${{message.encodedData}}</template>"
    return old[:start] + f'<properties class="{kind}">{written}</properties>' + old[end:]


WRITERS = {
    "a folder": (
        "<scheme>FILE</scheme><host>/out/adt</host><outputPattern>${message.messageId}.hl7</outputPattern>",
        ["file:", "directory: /out/adt", 'name: "{message_id}-{delivery}.hl7"'],
    ),
    "an SFTP server": (
        "<scheme>SFTP</scheme><host>sftp.payer.example:2222/in</host><username>hub</username>"
        "<password>invented</password><outputPattern>adt-${count}.hl7</outputPattern>",
        ["sftp:", "host: sftp.payer.example", "port: 2222", 'user: "hub"', "directory: /in",
         "password: secret://env/FEED_OUT_PASSWORD", "host_keys: [value://feed-out-host-key]",
         'name: "adt-{delivery}.hl7"'],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_writer_becomes_an_api_for_files(name: str, tmp_path: Path) -> None:
    properties, expected = WRITERS[name]
    found = converted(channel(destinations=_writer(properties)))
    (text,) = (text for path, text in found.files.items() if path.startswith("channels/apis/"))
    lines = [line.strip() for line in text.splitlines()]
    assert [line for line in expected if line not in lines] == []
    assert "invented" not in "".join(found.files.values())
    assert _site(found, tmp_path) == []


def test_a_file_writer_that_has_no_counterpart_says_why() -> None:
    for properties, words in (
        ("<scheme>SMB</scheme><host>x</host>", "SMB"),
        ("<scheme>SFTP</scheme><host>sftp.example/in</host>", "write its API"),
    ):
        (made,) = converted(channel(destinations=_writer(properties))).channels
        (route,) = made.plan.routes
        assert route.way.outcome.word == "manual"
        assert words in route.way.outcome.reason


NO_READERS = {
    "<scheme>SFTP</scheme><host>sftp.example/a b</host><username>hub</username>": "write the `sftp` source",
    "<scheme>SFTP</scheme><host>sftp.example/in</host>": "write the `sftp` source",
    "<scheme>SMB</scheme><host>x</host>": "SMB",
    "<scheme>FILE</scheme><host>/in</host><regex>true</regex><fileFilter>a.*b</fileFilter>": "include",
}


@pytest.mark.parametrize("properties", NO_READERS)
def test_a_reader_that_has_no_counterpart_says_why(properties: str) -> None:
    (made,) = converted(_reader(properties)).channels
    assert made.plan.source.outcome.word == "manual"
    assert NO_READERS[properties] in made.plan.source.outcome.reason
    assert not made.plan.runs


def test_messages_of_other_formats_are_told_and_not_guessed() -> None:
    found = converted(
        channel(mapper("a", "msg['patient']['name'].toString()"), inbound="XML", outbound="XML")
    )
    (made,) = found.channels
    assert [(each.word, "XML" in each.reason) for each in made.outcomes] == [("manual", True)]
    assert "XML" in made.plan.source.outcome.reason


_TYPE = "com.mirth.connect.plugins.datatypes.delimited.Delimited"
_CSV = "<scheme>FILE</scheme><host>/in/rows</host><fileFilter>*.csv</fileFilter>"
_BATCH = f"<sourceConnectorProperties><processBatch>true</processBatch></sourceConnectorProperties>{_CSV}"


def _rows(reader: str = _CSV, how: str = "", batch: str = "", cell: str = "msg['row'][0]['column1']") -> str:
    """A channel that reads rows, and puts one of their values into a message."""
    step = (
        "<com.mirth.connect.plugins.messagebuilder.MessageBuilderStep><name>b</name>"
        "<messageSegment>tmp['PID']['PID.18']['PID.18.1']</messageSegment>"
        f"<mapping>{cell}.toString()</mapping></com.mirth.connect.plugins.messagebuilder.MessageBuilderStep>"
    )
    old = _reader(reader, "DELIMITED").replace("<elements></elements>", f"<elements>{step}</elements>", 1)
    properties = (
        f'<inboundProperties class="{_TYPE}DataTypeProperties"><serializationProperties>{how}'
        f"</serializationProperties><batchProperties>{batch}</batchProperties></inboundProperties>"
    )
    template = "MSH|^~\\&amp;|A|B|||||DFT^P03|1|P|2.3\rPID|1\r"
    made = f"<outboundTemplate>{template}</outboundTemplate>{properties}"
    return old.replace("<outboundTemplate></outboundTemplate>", made, 1)


def _strings(tag: str, *texts: str, kind: str = "string") -> str:
    return f"<{tag}>{''.join(f'<{kind}>{each}</{kind}>' for each in texts)}</{tag}>"


ROWS = {
    "a heading line that steps know of": (
        _rows(cell="msg['row'][1]['column3']"),
        ["skip: 1", "rows: 10000", "bad_row: refuse"],
    ),
    "rows with numbers": (
        _rows(cell="msg['row2']['column3']", how="<numberedRows>true</numberedRows>"),
        ["skip: 1"],
    ),
    "rows one by one, behind two others": (
        _rows(
            _BATCH,
            batch="<splitType>Record</splitType><batchSkipRecords>2</batchSkipRecords>",
            cell="msg['row']['column1']",
        ),
        ["skip: 2", "ragged: true"],
    ),
    "names, a tab, and another quote": (
        _rows(
            how="<columnDelimiter>\\t</columnDelimiter><quoteToken>'</quoteToken>"
            + _strings("columnNames", "mrn", "x:y-z"),
            cell="msg['row'][0]['x:y-z']",
        ),
        ["separator: tab", 'quote: "\'"', 'columns: [mrn, "x:y-z"]'],
    ),
    "no quotes": (_rows(how="<quoteToken></quoteToken>"), ['quote: ""']),
    "a separator in hexadecimal digits": (
        _rows(how="<columnDelimiter>0x7c</columnDelimiter>"),
        ['separator: "|"'],
    ),
    "widths": (
        _rows(how=_strings("columnWidths", "3", "10", kind="int") + _strings("columnNames", "a")),
        ["fixed:", "fields: {a: 1-3, column2: 4-13}"],
    ),
    "as version 2 writes it": (
        re.sub(
            "<inboundProperties.*</inboundProperties>",
            '<inboundProperties><property name="columnWidths">3, 10</property>'
            '<property name="columnNames">a,b</property></inboundProperties>',
            _rows(cell="msg['row'][0]['b']"),
        ),
        ["fixed:", "fields: {a: 1-3, b: 4-13}"],
    ),
    "posted rows": (
        _rows(HTTP).replace("file.FileReceiverProperties", "http.HttpReceiverProperties"),
        ["http_in:", "delimited:"],
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_files_of_rows_become_a_channel_that_runs(name: str, tmp_path: Path) -> None:
    export, expected = ROWS[name]
    found = converted(export)
    lines = [line.split("   #")[0].strip() for line in found.files["channels/feed.yaml"].splitlines()]
    assert [line for line in expected if line not in lines] == []
    assert _site(found, tmp_path) == []


_EDIFACT = "<inboundTemplate>UNB+UNOA:1</inboundTemplate>"
NO_ROWS = {
    "from a socket": (channel(inbound="DELIMITED"), "rows come in files"),
    "other line ends": (_rows(how="<recordDelimiter>;</recordDelimiter>"), "end otherwise"),
    "escaped quotes": (_rows(how="<escapeWithDoubleQuote>false</escapeWithDoubleQuote>"), "not doubled"),
    "groups of rows": (_rows(_BATCH, batch="<splitType>Grouping_Column</splitType>"), "GROUPING_COLUMN"),
    "a name twice": (_rows(how=_strings("columnNames", "a", "a")), "stands twice"),
    "a name that is none": (_rows(how=_strings("columnNames", "a: [b")), "not all names"),
    "a width of nothing": (_rows(how=_strings("columnWidths", "0", kind="int")), "not wide"),
    "a width that is none": (_rows(how=_strings("columnWidths", "x", kind="int")), "no numbers"),
    "too many columns": (_rows(how=_strings("columnNames", *(f"a{n}" for n in range(1001)))), "1001"),
    "the separator as quote": (_rows(how="<quoteToken>,</quoteToken>"), "cannot be written"),
    "too many rows before": (_rows(_BATCH, batch="<batchSkipRecords>5000</batchSkipRecords>"), "5000 rows"),
    "no interchange of X12": (
        _reader(_CSV, "EDI/X12").replace("<outboundTemplate>", f"{_EDIFACT}<outboundTemplate>", 1),
        "EDIFACT",
    ),
}


@pytest.mark.parametrize("name", NO_ROWS)
def test_rows_that_cannot_be_read_as_before_say_why(name: str, tmp_path: Path) -> None:
    export, reason = NO_ROWS[name]
    found = converted(export)
    assert reason in found.channels[0].plan.source.outcome.reason
    assert "channels/feed.yaml" not in found.files
    # Without a mapping either there is nothing at all to be run, and the check says so.
    assert [each for each in _site(found, tmp_path) if "C151" not in each] == []


@pytest.mark.parametrize("cell", ["msg['row'][2]['column1']", "msg['row'][i]['column1']", "msg['row'][0]"])
def test_another_row_than_the_first_that_is_read_is_left_to_a_person(cell: str) -> None:
    two = _rows(cell="msg['row'][0]['column1'].toString() + msg['row'][0]['column2'].toString() + " + cell)
    (made,) = converted(two).channels
    assert [each.word for each in made.outcomes] == ["manual"]
    assert not made.plan.runs


def test_rows_are_not_sent_on_as_they_came() -> None:
    out = sender().replace("${message.encodedData}", "${message.rawData}")
    old = _rows().replace(sender(), out)
    (made,) = converted(old).channels
    assert any("as they came" in each for each in made.plan.routes[0].blocked)


FRAMES = {
    ("02", "03"): 'block: {start: "02", end: "03", carriage_return: false}',
    ("02", "030D"): 'block: {start: "02", end: "03"}',
}


@pytest.mark.parametrize(("start", "end"), FRAMES)
def test_other_frames_are_kept(start: str, end: str, tmp_path: Path) -> None:
    mode = (
        '<transmissionModeProperties class="x.FrameModeProperties"><pluginPointName>Basic</pluginPointName>'
        f"<startOfMessageBytes>{start}</startOfMessageBytes><endOfMessageBytes>{end}</endOfMessageBytes>"
        "</transmissionModeProperties><sourceConnectorProperties>"
    )
    found = converted(channel().replace("<sourceConnectorProperties>", mode, 1))
    assert FRAMES[start, end] in found.files["channels/feed.yaml"]
    assert _site(found, tmp_path) == []


ANSWERS = {
    "Auto-generate (Before processing)": "journaled",
    "Auto-generate (After source transformer)": "translated",
    "Auto-generate (Destinations completed)": "delivered",
    "None": "never",
    "d1": "delivered",
    "Postprocessor": "delivered",
}


@pytest.mark.parametrize("said", ANSWERS)
def test_when_a_sender_is_answered(said: str) -> None:
    found = converted(channel().replace("Auto-generate (After source transformer)", said))
    assert f"acknowledge: {ANSWERS[said]}" in found.files["channels/feed.yaml"]


def test_what_a_filter_keeps_out_does_not_wait_for_a_person() -> None:
    found = converted(channel(rules=rule("msg['PID']['PID.8']['PID.8.1'].toString()", "EQUALS", ["'M'"])))
    assert "on_no_route: filter" in found.files["channels/feed.yaml"]
    assert "answered AA here" in found.channels[0].outcomes[0].reason


def test_a_route_with_a_step_that_is_not_converted_does_not_run() -> None:
    found = converted(channel(script_step("msg = somethingElse(msg);")))
    assert "channels/feed.yaml" not in found.files
    text = found.files["unfinished/channels/feed.yaml"]
    assert "TODO: 'out', TCP Sender does not run yet" in text
    assert "the step 'a script'" in text


def test_one_destination_that_cannot_run_does_not_keep_the_others_back(tmp_path: Path) -> None:
    destinations = sender("good", number=1) + sender("bad", script_step("throw 'x';"), number=2)
    found = converted(channel(destinations=destinations))
    text = found.files["channels/feed.yaml"]
    assert "  - route: good" in text
    assert "  #   - route: bad" in text
    assert _site(found, tmp_path) == []


def _iterator(*children: str, target: str = "msg['OBX']") -> str:
    kind = "com.mirth.connect.model.IteratorStep"
    return (
        f"<{kind}><name>each</name><properties><target>{target}</target><indexVariable>i</indexVariable>"
        f"<children>{''.join(children)}</children></properties></{kind}>"
    )


def test_a_mapper_in_an_iterator_gives_a_list(tmp_path: Path) -> None:
    found = converted(channel(_iterator(mapper("values", OBX5))))
    assert [each.word for each in found.channels[0].outcomes] == ["converted", "approximated"]
    assert "values: OBX(*)-5.1" in _mapping(found)
    assert _site(found, tmp_path) == []


def test_a_loop_that_looks_for_one_segment_becomes_a_condition() -> None:
    script = (
        "for (var i = 0; i < msg['OBX'].length(); i++) { "
        "if (msg['OBX'][i]['OBX.3']['OBX.3.1'].toString() == 'K') { return true; } } return false;"
    )
    found = converted(channel(destinations=sender(rules=script_rule(script))))
    assert found.channels[0].outcomes[0].into == "when: 'K' in OBX(*)-3.1"


HOSTILE_NAMES = (
    "../../etc/passwd",
    "a\nb: c",
    "x" * 5000,
    "Ünï/\\:*?",
    "# comment",
    "'\"",
    "\u202e",
    "{{}}",
    "-",
)


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=repr)
def test_names_of_the_old_engine_lead_nowhere_and_break_no_file(name: str, tmp_path: Path) -> None:
    found = converted(channel(destinations=sender(name=name.replace("<", "")), name=name))
    assert all(".." not in path and path.count("/") <= 2 for path in found.files)
    assert _site(found, tmp_path) == []


RESPONSES = {
    "if (msg['MSA']['MSA.1']['MSA.1.1'].toString() == 'AA') { responseStatus = SENT; } "
    "else { responseStatus = QUEUED; responseStatusMessage = 'no'; }": ("approximated", "MSA-1"),
    "channelMap.put('ackCode', msg['MSA']['MSA.1']['MSA.1.1'].toString()); logger.info('x');":
        ("dropped", "nothing in the channel reads"),
    "channelMap.put('mrn', msg['MSA']['MSA.2']['MSA.2.1'].toString());": ("manual", "here its code alone"),
    "responseStatus = SENT;": ("manual", "decided by a script"),
    "router.routeMessage('alarms', msg);": ("manual", "here its code alone"),
    "responseMap.put('x', msg);": ("manual", "here its code alone"),
    "if (": ("manual", "here its code alone"),
}  # fmt: skip


@pytest.mark.parametrize("script", RESPONSES)
def test_a_step_that_reads_the_answer_of_a_receiver(script: str) -> None:
    out = sender().replace(
        "<enabled>",
        f"<responseTransformer><elements>{script_step(script)}</elements></responseTransformer><enabled>",
    )
    (made,) = converted(channel(mapper("x", "$('mrn')"), destinations=out)).channels
    (found,) = [each for each in made.outcomes if each.element.where == "response"]
    word, reason = RESPONSES[script]
    assert (found.word, reason in found.reason) == (word, True), found
