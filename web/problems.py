"""Every error as a sentence: `application/problem+json` (RFC 9457) for programs, a page for people."""

import json
from http import HTTPStatus
from typing import Any

import structlog
from flask import Flask, Response, render_template, request
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DataError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from screening.errors import Busy, Conflict, Full, Later, NotFound, Refused
from screening.storage import StorageError, StorageFull
from screening.upkeep.capacity import SPACE_AGAIN_S

log = structlog.get_logger()


PROGRAM_PATHS = ("/api/", "/metrics", "/healthz", "/readyz")
RETRY_AFTER_S = 5

_CODES_AND_SENTENCES = {
    400: ("bad_request", "The request is not understood. Check its address and its body, and send it again."),
    401: ("not_signed_in", "This needs a sign-in. Send a valid API token, or sign in to the portal."),
    403: ("not_allowed", "Your role does not allow this. Ask an administrator of this installation."),
    404: ("not_found", "There is nothing at this address. Check it, or start again from the home page."),
    405: ("method_not_allowed", "This address does not take such a request. The API document lists what it takes."),
    413: ("too_large", "The request is too large. Send fewer files at once."),
    415: ("wrong_media_type", "A body of this kind is not taken here. Send JSON, or files as multipart/form-data."),
    422: ("not_valid", "Some values are missing or not valid."),
    429: ("too_many_requests", "Too many tries in a short time. Wait a minute and try again."),
    500: ("internal", "Something went wrong here; it was logged. Try again, and tell the operator if it comes back."),
    503: ("not_available", "The system cannot answer at the moment. Try again in a few seconds."),
    507: ("storage_full", "The server has no room for more. Ask its operator to make room, and try again then."),
}


class TooLarge(Refused):
    """A request over a limit of its size or its parts."""


def register_problems(app: Flask) -> None:
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(CSRFError, _csrf)
    app.register_error_handler(NotFound, lambda error: answer(404, error.code, str(error)))
    app.register_error_handler(Conflict, lambda error: answer(409, error.code, str(error)))
    app.register_error_handler(TooLarge, lambda error: answer(413, error.code, str(error)))
    app.register_error_handler(Refused, lambda error: answer(400, error.code, str(error)))
    app.register_error_handler(Busy, lambda error: _later(429, error))
    app.register_error_handler(Full, lambda error: _later(507, error))
    app.register_error_handler(StorageFull, _storage_full)
    app.register_error_handler(StorageError, _storage)
    app.register_error_handler(DataError, _unheld)
    app.register_error_handler(RecursionError, _too_deep)
    for kind in (OperationalError, InterfaceError, PoolTimeout):
        app.register_error_handler(kind, _database)


def answer(
    status: int,
    code: str | None = None,
    detail: str | None = None,
    headers: dict[str, str] | None = None,
    more: dict[str, Any] | None = None,
) -> Response:
    """An error response in the form that the asker reads. Code and sentence default to those of the status."""
    own_code, own_detail = _CODES_AND_SENTENCES.get(status, _CODES_AND_SENTENCES[400 if status < 500 else 500])
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail or own_detail,
        "code": code or own_code,
        **(more or {}),
    }
    if is_program():
        response = Response(json.dumps(body), status, content_type="application/problem+json")
    else:
        response = Response(render_template("problem.html", problem=body), status)
    response.headers["Cache-Control"] = "no-store"
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="screening"'
    if status in (429, 503):
        response.headers["Retry-After"] = str(RETRY_AFTER_S if status == 503 else 60)
    response.headers.update(headers or {})
    return response


def is_program() -> bool:
    """Whether the asker is a program of the API and not a browser showing a page."""
    return request.path.startswith(PROGRAM_PATHS)


def _http(error: HTTPException) -> Response:
    status = error.code or 500
    if error.response is not None or status < 400:
        return error.get_response()  # type: ignore[return-value]
    headers = {name: value for name, value in error.get_headers() if name in ("Allow", "Retry-After")}
    invalid = getattr(error, "data", {}).get("messages")
    if status == 400 and invalid:
        return answer(400, "bad_json", "The body is not valid JSON. Send an object as the API document shows it.")
    if invalid:
        fields = list(_invalid_fields(invalid))
        detail = " ".join(f"{name}: {message}" for name, message in fields[:5])
        return answer(status, None, f"Some values are not valid. {detail}", more={"errors": dict(fields)})
    return answer(status, headers=headers)


def _invalid_fields(messages: Any, path: str = "") -> list[tuple[str, str]]:
    """What marshmallow said, flat: (name of the field, sentence). The first level names the part of the request."""
    if isinstance(messages, dict):
        found = []
        for name, inner in messages.items():
            deeper = str(name) if path else "request"
            found += _invalid_fields(inner, deeper if path in ("", "request") else f"{path}.{name}")
        return found
    sentences = messages if isinstance(messages, list) else [messages]
    return [(path or "request", " ".join(str(sentence) for sentence in sentences))]


def _csrf(_error: CSRFError) -> Response:
    return answer(400, "csrf", "The form has expired or came from another site. Reload the page and send it again.")


def _later(status: int, error: Later) -> Response:
    return answer(status, error.code, str(error), {"Retry-After": str(error.again_s)})


def _storage_full(error: StorageFull) -> Response:
    log.error("storage is full", error=str(error))
    return answer(507, headers={"Retry-After": str(SPACE_AGAIN_S)})


def _storage(error: StorageError) -> Response:
    log.error("storage failed", error=str(error))
    return answer(503, "storage", "The storage does not answer. Nothing was lost; try again in a few seconds.")


def _unheld(error: DataError) -> Response:
    log.error("the database cannot hold a value", error=str(error.orig))
    return answer(
        400,
        "bad_value",
        "A value of this request cannot be kept: it is too long or too large, or holds a character that no text can. "
        "Change it.",
    )


def _too_deep(error: RecursionError) -> Response:
    if not request.is_json:
        raise error
    return answer(400, "bad_json", "The body is nested too deeply. Send an object as the API document shows it.")


def _database(error: Exception) -> Response:
    log.error("database failed", error=str(error))
    return answer(503, "database", "The database does not answer. Nothing was lost; try again in a few seconds.")
