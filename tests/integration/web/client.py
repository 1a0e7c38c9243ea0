"""A client of the API as a program would write it: bearer token, JSON, multipart by hand."""

import uuid
from collections.abc import Sequence
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse


def multipart(files: Sequence[tuple[str, bytes]]) -> tuple[bytes, str]:
    """(body, content type) of files as parts named "file"."""
    edge = uuid.uuid4().hex
    body = b"".join(
        f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{name.replace(chr(34), "%22")}"\r\n'
        f"Content-Type: application/octet-stream\r\n\r\n".encode()
        + data
        + b"\r\n"
        for name, data in files
    )
    return body + f"--{edge}--\r\n".encode(), f"multipart/form-data; boundary={edge}"


class Api:
    def __init__(self, client: FlaskClient, headers: dict[str, str]) -> None:
        self.client = client
        self.headers = headers

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.client.get(path, headers={**self.headers, **headers})

    def post(self, path: str, document: Any = None) -> TestResponse:
        return self.client.post(path, json=document if document is not None else {}, headers=self.headers)

    def put(self, path: str, document: Any) -> TestResponse:
        return self.client.put(path, json=document, headers=self.headers)

    def open_run(self, name: str = "test", lane: str = "routine") -> int:
        answer = self.post("/api/v1/runs", {"name": name, "lane": lane})
        assert answer.status_code == 201, answer.text
        return int(answer.get_json()["id"])

    def send(self, run: int, *files: tuple[str, bytes]) -> TestResponse:
        body, kind = multipart(files)
        return self.client.post(f"/api/v1/runs/{run}/files", data=body, headers={**self.headers, "Content-Type": kind})

    def receipts(self, run: int, *files: tuple[str, bytes]) -> list[dict[str, Any]]:
        answer = self.send(run, *files)
        assert answer.status_code == 202, answer.text
        return list(answer.get_json()["files"])
