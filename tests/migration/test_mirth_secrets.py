"""Secrets of an export: known by names and forms, told by their place, and in nothing that is written."""

from __future__ import annotations

import base64
from time import process_time

import pytest
from mirth_exports import channel, converted, mapper, read, rule, script_step, sender

from bridge.migration.mirth.assess import report
from bridge.migration.mirth.secret_texts import BLANK, swept
from bridge.migration.mirth.secrets import blanked

INVENTED = "Invented-77!x"

SECRETS = (
    "var password = 'Invented-77!x';",
    'var token = "Invented-77!x";',
    "var c = {user: 'svc', secret: 'Invented-77!x'};",
    "var pw = 'Invented-77!x';",
    "var pass = `Invented-77!x`;",
    "var password = a ? 'Invented-77!x' : b || 'Invented-77!x';",
    "var password = prefix + 'Invented-77!x';",
    "var dbPassword = new java.lang.String('Invented-77!x');",
    "if (password == 'Invented-77!x') { go(); }",
    "config['password'] = 'Invented-77!x';",
    "client.setPassword('Invented-77!x');",
    "client.setApiToken('Invented-77!x');",
    "map.put('password', 'Invented-77!x');",
    "request.header('X-API-Key', 'Invented-77!x');",
    "connection.setRequestProperty('Authorization', 'Invented-77!x');",
    "var a = 'Basic c3ZjOkludmVudGVkLTc3IXg=';",
    "var a = 'Bearer Invented.77.x';",
    "var url = 'https://svc:Invented-77!x@api.example/';",
    "var url = 'jdbc:postgresql://db/adt?user=svc&password=Invented-77!x';",
    "var url = 'jdbc:oracle:thin:svc/Invented-77!x@//db:1521/adt';",
    "var url = 'https://api.example/?api_key=Invented-77!x';",
    "DatabaseConnectionFactory.createDatabaseConnection(driver, url, 'svc', 'Invented-77!x');",
    "java.sql.DriverManager.getConnection(url, user, 'Invented-77!x');",
    "new UsernamePasswordCredentials(user, 'Invented-77!x');",
    "var body = '<wsse:Password Type=\"t\">Invented-77!x</wsse:Password>';",
    'var body = "{\\"password\\": \\"Invented-77!x\\"}";',
    "// the password is Invented-77!x",
    "/* pw: Invented-77!x */",
)


@pytest.mark.parametrize("script", SECRETS)
def test_a_secret_in_a_script_is_blanked(script: str) -> None:
    found = blanked(script)
    assert BLANK in found
    assert not [each for each in (INVENTED, "Invented.77.x", "c3ZjOk") if each in found]


READABLE = (
    "var result = 'PASSED'; var pass = 'PASSED'; if (pass == 'FAIL') { go(); }",
    "var token = 'PID'; token = \"PID.3.1\"; var tokens = ['a', 'b'];",
    "tmp['OBX']['OBX.5'] = 'Basic metabolic panel';  // Basic information",
    "var password = $('dbPassword'); password = configurationMap.get('apiKey');",
    "var passwordChanged = 'Y'; var bypass = 'N';",
    "tmp['PV1']['PV1.2'] = password ? 'I' : 'O';",
    "var fields = ['password', 'firstName'];",
    "var url = 'https://api.example:8443/visits'; // see https://wiki.example/password",
    "var password = ''; var secret = null; var authorization = 'Bearer ' + $('token');",
    "// the password is taken from the configuration map",
    "var segment = msg['ZPW']['ZPW.1'].toString();",
)


@pytest.mark.parametrize("script", READABLE)
def test_what_is_no_secret_stays_readable(script: str) -> None:
    assert blanked(script) == script


HELD = {
    "a script": channel(script_step(f"var apiKey = '{INVENTED}'; msg['MSH']['MSH.8']['MSH.8.1'] = apiKey;")),
    "an object that becomes JSON": channel(
        script_step(f"channelMap.put('body', JSON.stringify({{user: 'svc', password: '{INVENTED}'}}));")
    ),
    "a mapper": channel(mapper("dbPassword", f"'{INVENTED}'")),
    "a value that another step shows": channel(
        mapper("dbPassword", f"'{INVENTED}'") + script_step(f"throw 'using {INVENTED}';")
    ),
    "a mapper's default": channel(mapper("dbPassword", "msg['ZPW']['ZPW.1'].toString()", f"'{INVENTED}'")),
    "a rule's value": channel(rules=rule("$('password')", "EQUALS", [f"'{INVENTED}'"])),
    "a rule": channel(rules=rule("password", "EQUALS", [f"'{INVENTED}'"])).replace(
        "<field>password</field>", f"<field>$('password') == '{INVENTED}' || password</field>"
    ),
    "a description": channel(more=f"<description>password: {INVENTED}</description>"),
    "a library": channel(
        more="<codeTemplateLibraries><codeTemplateLibrary><id>l</id><name>l</name><codeTemplates><codeTemplate>"
        f"<name>f</name><type>FUNCTION</type><code>function f() {{ var password = '{INVENTED}'; }}</code>"
        "</codeTemplate></codeTemplates></codeTemplateLibrary></codeTemplateLibraries>"
    ),
    "a sample in Base64": channel().replace(
        "<outboundTemplate></outboundTemplate>",
        '<outboundTemplate encoding="base64">'
        f"{base64.b64encode(f'<a><password>{INVENTED}</password></a>'.encode()).decode()}</outboundTemplate>",
    ),
    "an address": channel(
        destinations=sender().replace("192.0.2.10", f"ftp://svc:{INVENTED}@files.example/in")
    ),
}


@pytest.mark.parametrize("where", HELD)
def test_no_secret_of_an_export_is_in_anything_that_is_written(where: str) -> None:
    export = read(HELD[where])
    found = converted(HELD[where])
    written = "\n".join([*found.files.values(), str(report(export, found))])
    assert INVENTED not in written
    assert base64.b64encode(INVENTED.encode()).decode()[:-4] not in written
    assert export.secrets
    assert {each.channel for each in export.secrets} == {"feed"}


def test_a_step_that_held_a_secret_is_left_to_a_person_who_is_told_what_to_do() -> None:
    found = converted(HELD["a script"])
    (made,) = found.channels
    assert [each.word for each in made.outcomes] == ["manual"]
    assert "`secret://`" in made.outcomes[0].reason
    assert not made.plan.runs
    assert f"var apiKey = '{BLANK}';" in found.files["mappings/feed.yaml"]


def test_a_value_of_the_configuration_map_with_a_secret_is_not_used() -> None:
    url = f"jdbc:x://db?password={INVENTED}"
    entry = f"<entry><string>url</string><value>{url}</value></entry>"
    export = read(f"<map>{entry}</map>")
    assert INVENTED not in str(export.configuration)
    assert [each.what for each in export.secrets] == ["a password in a connection's properties"]


HOSTILE = (
    "password" * 20_000 + "'", "pass = " * 30_000, "\"password\" : " + "'a' + " * 30_000, "// " * 60_000,
    "getConnection(" * 15_000, "password=a+" * 20_000, "<password " * 20_000, "a-" * 100_000,
    "x://a:" * 30_000,
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=lambda each: each[:12])
def test_no_text_makes_looking_for_secrets_slow(text: str) -> None:
    begun = process_time()
    swept(text, lambda *_: None)
    assert process_time() - begun < 5.0
