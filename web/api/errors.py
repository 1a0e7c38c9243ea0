"""What the OpenAPI document says of errors: each is a problem, and every operation names those that it may give."""

from http import HTTPStatus
from typing import Any

from apispec import BasePlugin

PROBLEM = "application/problem+json"
_SCHEMA = {"$ref": "#/components/schemas/Problem"}
_METHODS = {"get", "post", "put", "patch", "delete"}
_ANYWHERE = (400, 401, 403, 503)
"""A request that is not understood, nobody, a role that is not enough, and a database or storage that is away."""


class ErrorResponses(BasePlugin):
    """Completes the responses of each operation, after the other plugins have had their say."""

    def operation_helper(self, path: str | None = None, operations: dict[str, Any] | None = None, **_: Any) -> None:
        for method, operation in (operations or {}).items():
            if method not in _METHODS:
                continue
            responses = operation.setdefault("responses", {})
            named = {status for status in responses if isinstance(status, int) and status >= HTTPStatus.BAD_REQUEST}
            for status in _possible(path or "", operation) | named:
                # The library's own responses are given by the name of a component, ours with a description.
                said = responses.get(status)
                own = said.get("description") if isinstance(said, dict) else None
                responses[status] = {
                    "description": own or HTTPStatus(status).phrase,
                    "content": {PROBLEM: {"schema": _SCHEMA}},
                }


def _possible(path: str, operation: dict[str, Any]) -> set[int]:
    possible = {*_ANYWHERE}
    if "{" in path:
        possible.add(404)
    if "requestBody" in operation:
        possible |= {413, 415, 422}
    if any(parameter.get("in") == "query" for parameter in operation.get("parameters", [])):
        possible.add(422)
    return possible
