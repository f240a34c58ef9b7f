"""Rates of credentials: one for all APIs that are called under the same; two of one are a mistake."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from config_site import API, CHANNEL, MAPPING, write_site

from bridge.catalog import STANDARD
from bridge.config.load import load
from bridge.config.topology import Topology
from bridge.errors import ConfigurationRefused
from bridge.runtime.rates import Rates

KEY, OTHER = "auth: {api_key: {key: secret://env/ONE}}\n", "auth: {api_key: {key: secret://env/TWO}}\n"
SHARED, OWN = "limits: {rate: 2/s, burst: 2, per: credential}\n", "limits: {rate: 2/s, burst: 2}\n"


def read(folder: Path, *more: str) -> Topology:
    """A site with an API for each of these."""
    files: dict[str, str | bytes] = {"channels/adt.yaml": CHANNEL, "mappings/adt-admit.yaml": MAPPING}
    without = "".join(
        line for line in API.splitlines(keepends=True) if not line.startswith(("auth", "limits"))
    )
    for number, lines in enumerate(more):
        name = "ehr.patients" if not number else f"ehr.other-{number}"
        text = without.replace("ehr.patients", name) + lines
        if "auth: none" in lines:  # which is for this machine alone
            text = re.sub("base_url: .*", "base_url: http://127.0.0.1:8080", text)
        files[f"channels/apis/{name}.yaml"] = text
    return load(write_site(folder, files), STANDARD)


@pytest.mark.parametrize(
    ("more", "takes"),
    [((KEY + SHARED, KEY + SHARED), 2), ((KEY + SHARED, OTHER + SHARED), 4), ((KEY + SHARED, KEY + OWN), 4)],
)
def test_apis_of_one_credential_have_one_rate_together(
    tmp_path: Path, more: tuple[str, ...], takes: int
) -> None:
    rates = Rates()
    apis = list(read(tmp_path, *more).apis.values())
    of_each = [rates.of(api) for api in apis]
    assert sum(rate is not None and rate.take(0) == 0 for rate in of_each * 3) == takes
    # A reload gives no calls away.
    again = [rates.of(api) for api in apis if api.rate_per == "credential"]
    assert sum(rate is not None and rate.take(0) == 0 for rate in again) == 0


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ((KEY + SHARED, KEY + SHARED.replace("2/s", "3/s")), "says another"),
        (("auth: none\n" + SHARED,), "there is none here"),
    ],
)
def test_two_rates_of_one_credential_and_one_of_none_are_found(
    tmp_path: Path, more: tuple[str, ...], told: str
) -> None:
    with pytest.raises(ConfigurationRefused) as refused:
        read(tmp_path, *more)
    assert any(each.code == "C149" and told in each.text for each in refused.value.problems)
