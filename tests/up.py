"""One `screening up` in a folder, for tests that start it, hurt it and start it again."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import httpx
import psutil

from screening.supervisor.orphans import MARK
from tests.conftest import free_port
from tests.installation import wait_until
from tests.integration.commands import SCREENING, screening

STARTS_WITHIN_S = 90
STOPS_WITHIN_S = 30
KINDS = ("valkey-server", "gunicorn", "-Q prepare", "-Q screen", "-Q upkeep", "worker.app beat")


class Up:
    """One `screening up` in a folder, which can be ended and started again."""

    def __init__(self, folder: Path, checkpoint_dir: Path, **settings: object) -> None:
        """settings: names in lower case, without their prefix."""
        self.folder = folder
        self.port = free_port()
        self.environment = {
            "SCREENING_CHECKPOINT_DIR": str(checkpoint_dir),
            "SCREENING_SERVER": f"http://127.0.0.1:{self.port}",
            "SCREENING_WEB_WORKERS": "1",
            "SCREENING_PREPARE_CHILDREN": "1",
            "SCREENING_LEASE_S": "6",
            "SCREENING_SLICE_S": "3",
            "SCREENING_SWEEP_EVERY_S": "1",
            **{f"SCREENING_{name.upper()}": str(value) for name, value in settings.items()},
        }
        self.output = folder.with_suffix(".out")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, errors: int | None = None) -> str:
        """Start and wait until it is ready: what it printed. `errors`: a descriptor that takes its messages instead."""
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [SCREENING, "up", "--port", str(self.port), "--data", str(self.folder)],
                env={**os.environ, **self.environment},
                stdout=output,
                stderr=output if errors is None else errors,
                start_new_session=True,
                # What a script starts in the background, such as these tests, ignores Ctrl-C, and so would this.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  it takes no lock
            )
        process = self.process
        wait_until(
            lambda: b"is ready" in self.output.read_bytes() or process.poll() is not None,
            STARTS_WITHIN_S,
            "screening up is ready",
        )
        text = self.output.read_text()
        assert process.poll() is None, text
        self.environment["SCREENING_TOKEN"] = (self.folder / "operator.token").read_text().strip()
        return text

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal to the whole process group, as a terminal does, and wait: the exit code."""
        assert self.process is not None
        os.killpg(self.process.pid, number)
        return self.process.wait(STOPS_WITHIN_S)

    def supervised(self) -> dict[str, psutil.Process]:
        """The living processes of this folder by what they are; of several alike, the oldest."""
        found: dict[str, psutil.Process] = {}
        for process in psutil.process_iter():
            try:
                mark, line = process.environ().get(MARK), " ".join(process.cmdline())
                if mark != str(self.folder) or process.status() == psutil.STATUS_ZOMBIE:
                    continue
            except psutil.Error:
                continue
            found.setdefault(next((kind for kind in KINDS if kind in line), line), process)
        return found

    def api(self) -> httpx.Client:
        token = self.environment["SCREENING_TOKEN"]
        return httpx.Client(base_url=self.environment["SCREENING_SERVER"], headers={"Authorization": f"Bearer {token}"})

    def upload(self, *arguments: object) -> dict[str, Any]:
        answer = screening("upload", *arguments, "--json", environment=self.environment)
        assert answer.code == 0, answer
        return answer.json()
