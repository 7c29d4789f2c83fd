"""Calls made up from the API's own description: whatever comes, the answer is one that was described."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.fronts import Front
from tests.house import ROOT

DESCRIBED = json.loads((ROOT / "tests" / "golden" / "openapi.json").read_text(encoding="utf-8"))["paths"]
CASES = [
    (method.upper(), address, mode)
    for address, methods in DESCRIBED.items()
    for method, operation in methods.items()
    for mode in GenerationMode
    # Where nothing is asked for, nothing can be wrong.
    if mode is GenerationMode.POSITIVE or operation.keys() & {"parameters", "requestBody"}
]
EXAMPLES = int(os.environ.get("FUZZING_EXAMPLES", "4"))
"""Few each time and different ones, so that the suite stays quick; many for a night."""


@pytest.fixture(scope="module")
def description(shared_front: Front) -> schemathesis.BaseSchema:
    rejected = {"checks": {"negative_data_rejection": {"expected-statuses": ["4xx"]}}}
    config = schemathesis.Config.from_dict(rejected)
    return schemathesis.openapi.from_asgi("/openapi.json", shared_front.app, config=config)


@pytest.mark.parametrize(("method", "address", "mode"), CASES)
def test_whatever_comes_the_answer_is_one_that_was_described(
    description: schemathesis.BaseSchema, method: str, address: str, mode: GenerationMode
) -> None:
    @given(case=description[address][method].as_strategy(generation_mode=mode))
    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    def call(case: schemathesis.Case[Any]) -> None:
        headers = {"Authorization": "Bearer root-secret", "Accept": "application/json"}
        # What a shape allows may still be refused: by the quota, the register, or since a cursor is none of ours.
        case.call_and_validate(headers=headers, excluded_checks=[positive_data_acceptance])

    call()
