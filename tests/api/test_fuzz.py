"""The server's own description of its interface, taken at its word: thousands of odd requests.

Whatever is sent, the answer has a documented status and the documented form, and no request makes
the server fail.
"""

import os
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation.modes import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from penstock.api.app import create_app
from penstock.api.building import build_services
from penstock.settings import Settings
from tests.api.real_server import EDGE, serving
from tests.fakes import FakeModels

NUM_CASES = int(
    os.environ.get("PENSTOCK_FUZZ_CASES", "43")
)  # per operation and mode; see `make fuzz`
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def described_operations() -> dict[str, schemathesis.schemas.APIOperation]:
    app = create_app(build_services(Settings(), FakeModels()), EDGE)
    found = schemathesis.openapi.from_dict(app.openapi()).get_all_operations()
    return {operation.label: operation for operation in (result.ok() for result in found)}


OPERATIONS = described_operations()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(Settings(), FakeModels()) as url:
        yield url


def labels_and_modes() -> Iterator[tuple[str, GenerationMode]]:
    """What has no body has little that could be wrong in it."""
    for label, operation in OPERATIONS.items():
        yield label, GenerationMode.POSITIVE
        if operation.body:
            yield label, GenerationMode.NEGATIVE


@pytest.mark.parametrize(("label", "mode"), list(labels_and_modes()))
def test_whatever_is_sent_the_answer_is_as_described(
    label: str, mode: GenerationMode, url: str
) -> None:
    @given(case=OPERATIONS[label].as_strategy(generation_mode=mode))
    @settings(max_examples=NUM_CASES, suppress_health_check=list(HealthCheck))
    def is_as_described(case: schemathesis.Case) -> None:
        case.call_and_validate(base_url=url, checks=CHECKS)

    is_as_described()
