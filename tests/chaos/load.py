"""A sender that never stops: pictures through the public API, sent again until there is a receipt, and all receipts."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.chaos.stand import Stand
from tests.installation import phantom_png, wait_until

FILES_PER_RUN = 60
FILES_PER_REQUEST = 12
SIZE = (108, 96)
GIVES_UP_AFTER_S = 180.0
UNFINISHED = "SELECT count(*) FROM jobs WHERE state IN ('preparing', 'queued', 'screening')"
EDGE = "chaos-edge"


@dataclass
class Sent:
    """One run as its sender sees it: which files have a receipt that they were accepted."""

    run: int
    accepted: dict[str, str] = field(default_factory=dict)
    """File name -> SHA-256."""
    submitted: bool = False


class Load:
    """Keeps about `backlog` scans in flight from a thread of its own. Every picture is another one."""

    def __init__(self, stand: Stand, backlog: int, first_seed: int) -> None:
        self._stand = stand
        self._backlog = backlog
        self._seed = first_seed
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._send_runs, name="load")
        self.runs: list[Sent] = []
        self.refused: list[dict[str, Any]] = []
        self.sent_again = 0
        """Requests that had to be sent again, because no answer came or the answer was a refusal for now."""
        self.trouble: BaseException | None = None

    def start(self) -> None:
        self._thread.start()
        wait_until(lambda: self.accepted > 0 or self.trouble is not None, 120, "the first files are accepted")

    def stop(self) -> None:
        """Send the run in hand to its end. Raises what kept the sender from going on."""
        self._stopping.set()
        self._thread.join(GIVES_UP_AFTER_S * 2)
        if self.trouble is not None:
            raise self.trouble

    @property
    def accepted(self) -> int:
        return sum(len(run.accepted) for run in self.runs)

    def break_off_upload(self, harm: Callable[[], None]) -> None:
        """Send one file in a run of its own, do harm when half of it is under way, and send it again."""
        run = self._open_run()
        name, data = self._picture()

        def halting() -> Iterator[bytes]:
            body = _multipart([(name, data)])
            yield body[: len(body) // 2]
            harm()
            yield body[len(body) // 2 :]

        with suppress(httpx.HTTPError), self._client() as client:
            client.post(f"/api/v1/runs/{run.run}/files", content=halting(), headers=_FORM)
        self._send(run, [(name, data)])
        self._submit(run)

    def _send_runs(self) -> None:
        try:
            while not self._stopping.is_set():
                if self._stand.count(UNFINISHED) > self._backlog:
                    self._stopping.wait(0.2)
                    continue
                run = self._open_run()
                for _ in range(0, FILES_PER_RUN, FILES_PER_REQUEST):
                    self._send(run, [self._picture() for _ in range(FILES_PER_REQUEST)])
                    if self._stopping.is_set():
                        break
                self._submit(run)
        except BaseException as error:
            self.trouble = error
            raise

    def _picture(self) -> tuple[str, bytes]:
        self._seed += 1
        return f"{self._seed}.png", phantom_png(self._seed, SIZE)

    def _open_run(self) -> Sent:
        # An answer that was lost leaves an empty run behind, which nobody submits; it holds nothing up.
        answer = self._ask("POST", "/api/v1/runs", json={"name": "chaos", "lane": "routine"})
        run = Sent(answer.json()["id"])
        self.runs.append(run)
        return run

    def _send(self, run: Sent, files: list[tuple[str, bytes]]) -> None:
        answer = self._ask("POST", f"/api/v1/runs/{run.run}/files", content=_multipart(files), headers=_FORM)
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in files}
        for receipt in answer.json()["files"]:
            if receipt["status"] == "rejected":
                self.refused.append(receipt)
            else:
                run.accepted[receipt["name"]] = digests[receipt["name"]]

    def _submit(self, run: Sent) -> None:
        self._ask("POST", f"/api/v1/runs/{run.run}/submit", json={})
        run.submitted = True

    def _ask(self, method: str, path: str, **content: Any) -> httpx.Response:
        """Ask until there is an answer that counts, as any careful client does."""
        deadline = time.monotonic() + GIVES_UP_AFTER_S
        while True:
            with suppress(httpx.HTTPError), self._client() as client:
                answer = client.request(method, path, **content)
                if answer.status_code < 400:
                    return answer
                if answer.status_code not in (429, 503, 507):
                    raise AssertionError(f"{method} {path}: {answer.status_code} {answer.text}")
            self.sent_again += 1
            if time.monotonic() > deadline:
                raise AssertionError(f"{method} {path}: no answer within {GIVES_UP_AFTER_S} s")
            time.sleep(0.3)

    def _client(self) -> httpx.Client:
        client = self._stand.up.api()
        client.timeout = httpx.Timeout(20)
        return client


_FORM = {"Content-Type": f"multipart/form-data; boundary={EDGE}"}


def _multipart(files: list[tuple[str, bytes]]) -> bytes:
    parts = [
        f'--{EDGE}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        f"Content-Type: image/png\r\n\r\n".encode()
        + data
        + b"\r\n"
        for name, data in files
    ]
    return b"".join(parts) + f"--{EDGE}--\r\n".encode()
