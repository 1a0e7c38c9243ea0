"""Answers that carry a strong ETag, so that a client which asks again gets 304 where nothing changed."""

import hashlib
import json
from typing import Any

from flask import Response, request


def json_with_etag(document: Any) -> Response:
    body = json.dumps(document).encode()
    response = Response(body, content_type="application/json")
    response.set_etag(hashlib.sha256(body).hexdigest()[:32])
    response.headers["Cache-Control"] = "private, no-cache"
    response.make_conditional(request)
    return response


def picture_not_modified(etag: str) -> Response | None:
    """304 where the client has this picture already."""
    if not request.if_none_match.contains(etag):
        return None
    response = Response(status=304)
    response.set_etag(etag)
    return response


def picture(data: bytes, media_type: str, etag: str, max_age_s: int) -> Response:
    """A picture of a person's bone: only the browser that asked may keep it."""
    response = Response(data, content_type=media_type)
    response.set_etag(etag)
    response.headers["Cache-Control"] = f"private, max-age={max_age_s}"
    return response
