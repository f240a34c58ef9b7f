"""Settings from the environment, and secrets that are never shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_site import CATALOG, FILES, write_site

from bridge.component import Options
from bridge.config.load import load
from bridge.config.secrets import SECRET_SIZE_MAX_BYTES, Secrets, lines_in, lines_of, unavailable
from bridge.config.settings import ADMIN_PORT_DEFAULT, JOURNAL_DEFAULT, VARIABLES, settings
from bridge.destinations.credentials import API_KEY, BASIC
from bridge.destinations.oauth2 import COMPONENT as OAUTH2
from bridge.destinations.oauth2_jwt import COMPONENT as JWT
from bridge.errors import ConfigurationRefused, SecretUnavailable
from bridge.governance.consent import RegistryOptions
from bridge.transports.http_in_options import HttpInOptions
from bridge.units import SecretRef

SECRET = "correct horse battery"


def test_everything_has_a_default() -> None:
    found = settings({})
    assert (found.journal, found.admin_port) == (JOURNAL_DEFAULT, ADMIN_PORT_DEFAULT)
    assert found.secrets.directory == Path("secrets")
    assert settings(dict.fromkeys(VARIABLES, "")) == settings(dict.fromkeys(VARIABLES, ""))
    assert settings(dict.fromkeys(VARIABLES, "")).journal == JOURNAL_DEFAULT


def test_the_environment_is_taken() -> None:
    found = settings({"BRIDGE_JOURNAL": "sqlite:///x", "BRIDGE_ADMIN_PORT": "0", "BRIDGE_SECRETS": "/run/s"})
    assert (found.journal, found.admin_port, str(found.secrets.directory)) == ("sqlite:///x", 0, "/run/s")


@pytest.mark.parametrize("port", ["x", "-1", "65536", "8_0", "٣", "80 ", "999999999999999999999"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(ConfigurationRefused, match="C160: expected a port"):
        settings({"BRIDGE_ADMIN_PORT": port})


def test_neither_settings_nor_secrets_show_what_they_hold() -> None:
    found = settings({"BRIDGE_JOURNAL": f"postgresql://u:{SECRET}@h/d", "K": SECRET})
    assert SECRET not in repr(found)


def test_a_secret_of_the_environment() -> None:
    secrets = Secrets(Path("none"), {"KEY": SECRET, "EMPTY": ""})
    assert secrets.resolve(SecretRef("env", "KEY")) == SECRET
    for name in ("EMPTY", "OTHER"):
        with pytest.raises(SecretUnavailable, match=f"secret://env/{name}: .* not set"):
            secrets.resolve(SecretRef("env", name))


@pytest.mark.parametrize(
    ("content", "expected"),
    [(SECRET, SECRET), (SECRET + "\n", SECRET), (SECRET + "\r\n", SECRET), (f"{SECRET}\n\n", f"{SECRET}\n")],
)
def test_one_line_break_at_the_end_of_a_file_is_not_part_of_the_secret(
    tmp_path: Path, content: str, expected: str
) -> None:
    _write(tmp_path / "rcm", content.encode())
    assert Secrets(tmp_path, {}).resolve(SecretRef("file", "rcm")) == expected


def test_a_secret_that_was_changed_is_found_at_once(tmp_path: Path) -> None:
    _write(tmp_path / "rcm", b"old")
    secrets = Secrets(tmp_path, {})
    assert secrets.resolve(SecretRef("file", "rcm")) == "old"
    _write(tmp_path / "rcm", b"new")
    assert secrets.resolve(SecretRef("file", "rcm")) == "new"


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o660, 0o602, 0o610])
def test_a_file_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    _write(tmp_path / "rcm", SECRET.encode(), mode)
    assert "chmod 640 or 600" in _refusal(tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"\n", "empty"),
        (b"horse\xff", "not UTF-8"),
        (b"horse" * SECRET_SIZE_MAX_BYTES, "larger"),
    ],
)
def test_content_that_can_be_no_secret_is_refused_and_not_shown(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    _write(tmp_path / "rcm", content)
    assert reason in _refusal(tmp_path)


def test_the_largest_secret_is_taken(tmp_path: Path) -> None:
    _write(tmp_path / "rcm", b"x" * SECRET_SIZE_MAX_BYTES)
    assert len(Secrets(tmp_path, {}).resolve(SecretRef("file", "rcm"))) == SECRET_SIZE_MAX_BYTES


def test_a_link_out_of_the_folder_is_refused_and_one_within_is_followed(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir()
    _write(tmp_path / "outside", SECRET.encode())
    (folder / "rcm").symlink_to(tmp_path / "outside")
    assert "link out" in _refusal(folder)
    (folder / "rcm").unlink()
    _write(folder / "..data", SECRET.encode())
    (folder / "rcm").symlink_to("..data")
    assert Secrets(folder, {}).resolve(SecretRef("file", "rcm")) == SECRET


def test_what_is_no_file_or_not_there_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in _refusal(tmp_path)
    (tmp_path / "rcm").mkdir(mode=0o700)
    assert "no file" in _refusal(tmp_path)
    assert "cannot be read" in _refusal(tmp_path / "nowhere")


def test_a_reference_cannot_climb_out_of_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir()
    _write(tmp_path / "rcm", SECRET.encode())
    for name in ("../rcm", "..", str(tmp_path / "rcm"), "a\0b"):
        with pytest.raises(SecretUnavailable):
            Secrets(folder, {}).resolve(SecretRef("file", name))


def test_missing_secrets_are_told_at_the_places_that_need_them(tmp_path: Path) -> None:
    topology = load(write_site(tmp_path, dict(FILES)), CATALOG)
    found = unavailable(topology.secrets, Secrets(tmp_path, {}))
    assert [str(problem)[:42] for problem in found] == ["channels/apis/ehr.patients.yaml:3:23: C161"]
    assert unavailable(topology.secrets, Secrets(tmp_path, {"EHR_KEY": "x"})) == []


@pytest.mark.parametrize("secret", [f"{SECRET}\nsecond line", f"{SECRET} ", "schlüssel", "k" * 4097])
def test_a_secret_that_no_header_can_hold_is_told_before_a_start(secret: str, tmp_path: Path) -> None:
    topology = load(write_site(tmp_path, dict(FILES)), CATALOG)
    lines, secrets = lines_of(topology), Secrets(tmp_path, {"EHR_KEY": secret})
    (told,) = unavailable(topology.secrets, secrets, lines)
    assert (told.code, told.place.line) == ("C161", 3)
    assert "secret://env/EHR_KEY: it is empty, longer than 4096 bytes, or holds a line break" in told.text
    assert SECRET not in str(told)
    assert unavailable(topology.secrets, secrets) == [], "a key in PEM has several lines"


SECRET_OPTIONS = [
    (API_KEY.options, {"key": "secret://env/K"}),
    (BASIC.options, {"username": "u", "password": "secret://env/K"}),
    (OAUTH2.options, {"token_url": "https://i.example/t", "client_id": "b", "secret": "secret://env/K"}),
    (HttpInOptions, {"listen": "tcp:8443", "path": "/lab", "tokens": {"lab": "secret://env/K"}}),
    (RegistryOptions, {"url": "https://c.example/{patient}", "token": "secret://env/K"}),
]


@pytest.mark.parametrize(("options", "written"), SECRET_OPTIONS)
def test_what_goes_into_a_header_is_known_of_its_options(
    options: type[Options], written: dict[str, str]
) -> None:
    assert list(lines_in(options.model_validate(written))) == [SecretRef("env", "K")]


def test_a_private_key_may_have_several_lines() -> None:
    written = {"token_url": "https://i.example/t", "client_id": "b", "key": "secret://env/K"}
    assert list(lines_in(JWT.options.model_validate(written))) == []


def _write(path: Path, content: bytes, mode: int = 0o600) -> None:
    path.write_bytes(content)
    path.chmod(mode)


def _refusal(folder: Path) -> str:
    with pytest.raises(SecretUnavailable) as raised:
        Secrets(folder, {}).resolve(SecretRef("file", "rcm"))
    text = str(raised.value)
    assert text.startswith("secret://file/rcm: ")
    assert "horse" not in text
    assert raised.value.__suppress_context__ or raised.value.__context__ is None
    return text


def test_a_credential_of_systemd_is_read_from_the_folder_that_it_names(tmp_path: Path) -> None:
    _write(tmp_path / "rcm", SECRET.encode(), 0o400)
    reference = SecretRef.parse("secret://systemd/rcm")
    given = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert Secrets(Path("none"), given).resolve(reference) == SECRET
    with pytest.raises(SecretUnavailable, match="LoadCredential=rcm:/path"):
        Secrets(tmp_path, {}).resolve(reference)
    with pytest.raises(SecretUnavailable, match="cannot be read"):
        Secrets(Path("none"), given).resolve(SecretRef("systemd", "other"))
