"""A reload says which certificates are in use from now on, and which could not be taken."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from certificates import Made, make
from command_line import Ended, bridge_process
from reactor_tests import in_reactor
from structlog.testing import capture_logs
from tls_site import TlsHospital, tls_hospital, with_tls
from twisted.internet.threads import deferToThread

from bridge.cli.demo import CHANNEL

API = "ehr.patients"


async def reloaded(site: TlsHospital, *arguments: object) -> Ended:
    url = f"sqlite:///{site.folder / 'journal.db'}"
    ended: Ended = await deferToThread(
        bridge_process, "reload", *arguments, "--journal", url, NO_COLOR="1", COLUMNS="500"
    )
    return ended


@in_reactor
async def test_a_reload_says_that_a_new_certificate_is_in_use(tmp_path: Path) -> None:
    async with tls_hospital(tmp_path) as site:
        site.renew((-1, 200))
        told = await reloaded(site)
        assert (told.status, told.out) == (0, f"the changed TLS files of {CHANNEL} are in use\n")
        again = await reloaded(site)
        assert (again.status, again.out) == (0, "nothing has changed\n")


@in_reactor
async def test_a_reload_that_cannot_take_a_certificate_says_which_and_why_each_time_and_ends_with_1(
    tmp_path: Path,
) -> None:
    async with tls_hospital(tmp_path) as site:
        other = make(site.pki, "other", site.ca, fresh=True)
        (site.site / "secrets" / "bridge.key").write_bytes(other.key_path.read_bytes())
        for _ in range(2):
            told = await reloaded(site)
            assert told.status == 1
            assert f"the changed TLS files of {CHANNEL} are not in use: " in told.out
            assert "bridge.pem" in told.out
            assert "nothing has changed" not in told.out
        site.renew((-9, -1))
        told = await reloaded(site, "--format", "json")
        assert told.status == 1
        [found] = json.loads(told.out)["certificates"]
        assert (found["kind"], found["name"]) == ("channel", CHANNEL)
        assert "CN=bridge has expired" in found["why_not"]


@in_reactor
async def test_half_of_an_apis_new_client_certificate_is_told_by_reload_and_once_by_the_log(
    tmp_path: Path,
) -> None:
    site = await calling_over_tls(tmp_path)
    first, second = (make(site.pki, name, site.ca, fresh=True) for name in ("own", "next"))
    show(site, first, first)
    try:
        node = await site.start()
        with capture_logs() as logged:
            show(site, second, first)
            node.look_at_certificates()
            told = await reloaded(site)
            assert told.status == 1
            assert f"the changed TLS files of {API} are not in use: " in told.out
            assert "own.key" in told.out
            show(site, second, second)
            told = await reloaded(site)
            assert told.status == 0, told.said
        refused = [each for each in logged if each["event"] == "certificate-not-reloaded"]
        assert [each["api"] for each in refused] == [API]
    finally:
        await site.close()


async def calling_over_tls(folder: Path) -> TlsHospital:
    """A hospital whose API is called with a certificate of the bridge's own; not started."""
    site = TlsHospital(folder)
    await site.open(with_tls)
    api = site.site / "channels" / "apis" / f"{API}.yaml"
    client = "tls: {ca: tls/ca.pem, certificate: tls/own.pem, key: tls/own.key}"
    api.write_text(api.read_text().replace("base_url: http:", f"{client}\nbase_url: https:"))
    return site


@in_reactor
async def test_a_certificate_of_our_own_that_ends_is_a_metric_and_a_worry_and_so_are_files_that_do_not_fit(
    tmp_path: Path,
) -> None:
    site = await calling_over_tls(tmp_path)
    soon, ended, new = (
        make(site.pki, name, site.ca, purpose="client", days=days, fresh=True)
        for name, days in (("soon", (-9, 2)), ("ended", (-9, -1)), ("new", (-1, 90)))
    )
    show(site, soon, soon)
    try:
        node = await site.start()

        async def worried() -> str:
            url = f"sqlite:///{site.folder / 'journal.db'}"
            ended: Ended = await deferToThread(
                bridge_process, "status", "--check", "--journal", url, NO_COLOR="1", COLUMNS="500"
            )
            return ended.said

        def ends_s() -> float | None:
            labels = {"channel": "", "file": f"certificate for {API}"}
            return node.metrics.registry.get_sample_value(
                "bridge_certificate_expires_timestamp_seconds", labels
            )

        assert ends_s() == pytest.approx(soon.certificate.not_valid_after_utc.timestamp())
        assert f"the certificate for {API} expires in 2 days" in await worried()
        show(site, ended, ended)
        node.look_at_certificates()
        assert f"the certificate for {API} has expired" in await worried()
        show(site, new, ended)
        node.look_at_certificates()
        said = await worried()
        assert f"the TLS files for {API} cannot be used" in said
        assert "own.key do not belong together" in said
        show(site, new, new)
        node.look_at_certificates()
        assert ends_s() == pytest.approx(new.certificate.not_valid_after_utc.timestamp())
        assert f"for {API}" not in await worried()
    finally:
        await site.close()


def show(site: TlsHospital, certificate: Made, key: Made) -> None:
    """Let the bridge be this to the API; each file is another one under its name."""
    for name, made in (("own.pem", certificate.path), ("own.key", key.key_path)):
        beside = site.site / "tls" / f"{name}.new"
        beside.touch(0o600)
        beside.write_bytes(made.read_bytes())
        os.replace(beside, site.site / "tls" / name)
