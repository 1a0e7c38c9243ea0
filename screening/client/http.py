"""One connection pool to one server: bearer token, retries with growing pauses, errors as sentences."""

import random
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

import httpx

from screening.client.errors import ClientError

CONNECTIONS = 4
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 15.0
PATIENCE_S = 180.0
"""For so long a request that fails in passing is tried again; a restart of the server takes less. A server that says
when to come again is waited for as long as it says so: its queue may need hours, or its operator has to make room."""
_PASSING = (408, 429, 500, 502, 503, 504, 507)
_ASKED_TO_WAIT = (429, 507)

BuildRequest = Callable[[], dict[str, Any]]
"""Makes the arguments of a request anew for each try, because a stream can be sent only once."""


class Connection:
    """Sends requests to `server` (http://host:port). Used by several threads at once."""

    def __init__(
        self,
        server: str,
        token: str,
        patience_s: float = PATIENCE_S,
        on_wait: Callable[[ClientError], None] = lambda _: None,
    ) -> None:
        self.server = server.rstrip("/")
        self._patience_s = patience_s
        self._on_wait = on_wait
        if not self.server.startswith(("http://", "https://")):
            raise ClientError(f"The server {server!r} is not understood. Write it as http://host:port.")
        # Writing has no limit of its own: a large file over a slow line takes what it takes.
        timeout = httpx.Timeout(60.0, connect=10.0, write=None, pool=None)
        try:
            self._client = httpx.Client(
                base_url=self.server,
                headers={"Authorization": f"Bearer {token}", "User-Agent": "screening"},
                timeout=timeout,
                limits=httpx.Limits(max_connections=CONNECTIONS + 1),
                follow_redirects=False,
            )
        except (httpx.InvalidURL, ValueError, UnicodeEncodeError) as error:
            raise ClientError(f"The server {server!r} or its token is not understood ({error}).") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def get(self, path: str, **parameters: Any) -> dict[str, Any]:
        """The JSON object at this path. Parameters that are None are left out. Raises ClientError."""
        given = {name: value for name, value in parameters.items() if value is not None}
        return self._send("GET", path, lambda: {"params": given}, again_after_doubt=True)

    def post(self, path: str, body: dict[str, Any] | None = None, *, again_after_doubt: bool = True) -> dict[str, Any]:
        """Post JSON. With again_after_doubt=False a request whose answer was lost is not sent twice."""
        return self._send("POST", path, lambda: {} if body is None else {"json": body}, again_after_doubt)

    def put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._send("PUT", path, lambda: {"json": body}, again_after_doubt=True)

    def delete(self, path: str) -> None:
        self._send("DELETE", path, dict, again_after_doubt=False)

    def get_text(self, path: str, **parameters: Any) -> Iterator[str]:
        """The body at this path as text, piece by piece. Not tried again, for a part of it may be out already."""
        given = {name: value for name, value in parameters.items() if value is not None}
        try:
            with self._client.stream("GET", path, params=given) as answer:
                if not answer.is_success:
                    answer.read()
                    raise _problem(answer, self.server)
                yield from answer.iter_text()
        except httpx.TransportError as error:
            raise _unreachable(self.server, error) from error

    def post_files(self, path: str, build: BuildRequest) -> dict[str, Any]:
        return self._send("POST", path, build, again_after_doubt=True)

    def _send(self, method: str, path: str, build: BuildRequest, again_after_doubt: bool) -> dict[str, Any]:
        deadline = time.monotonic() + self._patience_s
        tries = 0
        while True:
            wanted_pause = 0.0
            try:
                answer = self._client.request(method, path, **build())
                # An answer that asks to wait leaves no doubt: nothing was done.
                again = again_after_doubt or answer.status_code in _ASKED_TO_WAIT
                if answer.status_code not in _PASSING or not again:
                    return _read(answer, self.server)
                wanted_pause = _retry_after(answer)
                problem = _problem(answer, self.server)
                if answer.status_code in _ASKED_TO_WAIT and wanted_pause:
                    deadline = time.monotonic() + wanted_pause + self._patience_s
            except httpx.TransportError as error:
                problem = _unreachable(self.server, error)
                if not again_after_doubt and not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
                    raise problem from error
            tries += 1
            growing = min(FIRST_PAUSE_S * 2.0 ** min(tries - 1, 10), LONGEST_PAUSE_S)
            # Spread, so that connections that failed together do not come back together.
            pause = max(wanted_pause, growing * random.uniform(0.5, 1.0))  # noqa: S311
            if time.monotonic() + pause > deadline:
                raise problem
            self._on_wait(problem)
            time.sleep(pause)


def _read(answer: httpx.Response, server: str) -> dict[str, Any]:
    if not answer.is_success:
        raise _problem(answer, server)
    if not answer.content:
        return {}
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise ClientError(f"{server} does not answer as a screening server does. Check --server or SCREENING_SERVER.")
    return body


def _problem(answer: httpx.Response, server: str) -> ClientError:
    try:
        body = answer.json()
        detail, code = body.get("detail") or body.get("title"), body.get("code")
    except (ValueError, AttributeError):
        detail, code = None, None
    if answer.status_code == 401:
        detail = f"{detail or 'The token is not accepted.'} The token is given with --token or SCREENING_TOKEN."
    return ClientError(
        detail or f"{server} answered {answer.status_code} {answer.reason_phrase}. Check --server, and its logs.",
        answer.status_code,
        code,
    )


def _retry_after(answer: httpx.Response) -> float:
    try:
        return min(max(float(answer.headers.get("Retry-After", "0")), 0.0), 60.0)
    except ValueError:
        return 0.0


def _unreachable(server: str, error: httpx.TransportError) -> ClientError:
    cause = str(error).strip() or type(error).__name__
    return ClientError(
        f"The server {server} cannot be reached ({cause}). "
        "Check that it runs and that --server or SCREENING_SERVER names it."
    )
