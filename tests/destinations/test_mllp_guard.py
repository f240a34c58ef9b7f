"""A receiver is connected to at an address of its own alone."""

from __future__ import annotations

import pytest
from http_peers import NOW_US, no_secrets
from mllp_peers import message, sent
from reactor_tests import in_reactor

from bridge.cli.fake_mllp import FakeReceiver
from bridge.component import SEND_ORIGINAL, OperationOptions
from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.in_loop import in_loop
from bridge.destinations.mllp_send import MllpSendOptions, build
from bridge.governance.target_guard import NetworkOptions

REFUSED = Outcome(Verdict.HOLD, "target-refused")


@pytest.mark.parametrize(
    ("addresses", "verdict", "steps", "connections"),
    [
        ([], Verdict.DELIVERED, "tiuso", 1),
        (["127.0.0.0/8"], Verdict.DELIVERED, "tiuso", 1),
        (["10.0.0.0/8"], Verdict.HOLD, "t!target-refused", 0),
    ],
)
@in_reactor
async def test_only_an_address_of_the_receivers_own_is_connected_to(
    addresses: list[str], verdict: Verdict, steps: str, connections: int
) -> None:
    receiver = FakeReceiver()
    options = MllpSendOptions.model_validate({"mllp": {"connect": await in_loop(receiver.start())}})
    operations = {SEND_ORIGINAL: OperationOptions.model_validate({})}
    permits = NetworkOptions.model_validate({"addresses": addresses}).permits()
    destination = build(options, operations, None, no_secrets, lambda: NOW_US, permits)
    try:
        outcome = await sent(destination, message())
    finally:
        await destination.close()
        await in_loop(receiver.stop())
    assert (outcome.verdict, outcome.steps, receiver.connections) == (verdict, steps, connections)
