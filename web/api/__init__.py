"""The HTTP API, version 1, and its OpenAPI document at /api/v1/openapi.json."""

from flask import Flask
from flask_smorest import Api, Blueprint

from web.api import checkpoints, comparisons, files, holds, reviews, runs, scans, schedules, status, worklist
from web.api.errors import ErrorResponses

PREFIX = "/api/v1"


class _Api(Api):
    DEFAULT_ERROR_RESPONSE_NAME = None  # Each operation names its errors, see web.api.errors.

    def _register_error_handlers(self) -> None:
        """Errors are answered by web.problems, for the API as for the pages."""


def register_api(app: Flask) -> None:
    app.config.update(
        API_TITLE="Fracture screening",
        API_VERSION="1",
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX=PREFIX,
        OPENAPI_JSON_PATH="openapi.json",
        API_SPEC_OPTIONS={
            "info": {
                "description": "Bulk upload and screening of radiographs for bone fractures. For research and triage "
                "support: not a diagnosis, not a certified medical device. Errors are application/problem+json."
            },
            "security": [{"token": []}],
            "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        },
    )
    api = _Api(app, spec_kwargs={"extra_plugins": [ErrorResponses()]})
    blueprints: list[Blueprint] = [
        runs.blueprint,
        files.blueprint,
        worklist.blueprint,
        scans.blueprint,
        reviews.blueprint,
        holds.blueprint,
        checkpoints.blueprint,
        comparisons.blueprint,
        schedules.blueprint,
        status.blueprint,
    ]
    for blueprint in blueprints:
        api.register_blueprint(blueprint)
