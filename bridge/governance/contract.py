"""Contract: nothing leaves that the API's contract does not describe, and an API that changes is noticed.

The request is checked as it is made, by its final bytes. The answer is checked in memory and forgotten. What
an API does otherwise than its contract says is drift; with ``enforce`` it holds that operation, and no other,
until a person has looked at it.
"""

from __future__ import annotations

from typing import Final

from bridge.component import Component
from bridge.contracts.options import ContractOptions

INVALID: Final = "request-invalid"
DRIFTED: Final = "contract-drift"

COMPONENT = Component(
    kind="policy",
    name="contract",
    summary="Requests and answers are held against the API's contract.",
    options=ContractOptions,
    example="openapi: contracts/rcm-2.1.0.yaml\ncheck: enforce\n",
    marker="contract",
    letters=("x", "d"),
    when_declared=True,
)
