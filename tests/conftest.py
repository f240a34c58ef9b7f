"""Options of the test run."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# Machines are noisy: no test fails for its time. Where a change is checked before it lands, the same
# examples are drawn in each run; everywhere else new ones are, and find what those did not.
settings.register_profile("anywhere", deadline=None)
settings.register_profile("landing", deadline=None, derandomize=True)
settings.load_profile("landing" if os.environ.get("CI") else "anywhere")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=5, help="How often the kill drill ends the bridge.")
    parser.addoption("--reload-s", type=float, default=6, help="How long files change in the reload drill.")
    parser.addoption("--outage-s", type=float, default=3, help="How long an API is away in the outage drill.")
