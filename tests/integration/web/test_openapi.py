"""The API against its own document: whatever is sent, no answer is a 5xx or one that the document does not name."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.stateful import run_state_machine_as_test
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.installation import phantom_png
from tests.integration.web.conftest import Portal
from tests.integration.web.screened import screen_everything

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
FEW = settings(max_examples=8, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
STATEFUL = settings(FEW, max_examples=25, stateful_step_count=6)


@pytest.fixture
def document(portal: Portal) -> BaseSchema:
    """The document of an application that has something to show: a screened run and a rejected file."""
    api = portal.api()
    run = api.open_run()
    api.receipts(run, ("hand.png", phantom_png(1)), ("notes.txt", b"no picture"))
    screen_everything(portal.system, {})
    token = {"Authorization": f"Bearer {portal.tokens['administrator']}"}
    return schemathesis.openapi.from_wsgi("/api/v1/openapi.json", portal.app, headers=token)


def headers(portal: Portal) -> dict[str, str]:
    return {"Authorization": f"Bearer {portal.tokens['administrator']}"}


def test_every_operation_answers_as_the_document_says(portal: Portal, document: BaseSchema) -> None:
    failures = []
    for operation in document.get_all_operations():
        known = operation.ok()

        @FEW
        @given(case=known.as_strategy())
        def holds(case: schemathesis.Case) -> None:
            case.call_and_validate(headers=headers(portal), checks=CHECKS)

        try:
            holds()
        except (Exception, FailureGroup) as error:
            said = [str(inner) for inner in getattr(error, "exceptions", [error])]
            failures.append(f"{known.method.upper()} {known.path}: {said}")
    assert failures == [], "\n\n".join(failures)


def test_one_request_after_the_other_answers_as_the_document_says(portal: Portal, document: BaseSchema) -> None:
    """What one answer names, such as a run, is used in the next request."""

    class Machine(document.as_state_machine()):  # type: ignore[misc]
        def get_call_kwargs(self, case: schemathesis.Case) -> dict[str, object]:
            return {"headers": headers(portal)}

        def validate_response(self, response: object, case: schemathesis.Case, **_: object) -> None:
            case.validate_response(response, checks=CHECKS)

    run_state_machine_as_test(Machine, settings=STATEFUL)
