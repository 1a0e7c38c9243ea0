"""A small installation for tests: database, queue, storage, a random checkpoint, and real worker processes."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from screening import checkpoints
from screening.clock import utc_now
from screening.inference.bundle import Bundle
from screening.queue import QueueName
from screening.runs.admission import Receipted
from screening.runs.intake import take_in
from screening.runs.lifecycle import get_run, open_run, submit_run
from screening.runs.progress import Progress, progress_of
from screening.settings import Settings
from screening.system import System, open_system
from tests.conftest import ROOT

SECRET_KEY = "a-secret-key-for-tests-only-0123456789"
FAST = {"lease_s": 6.0, "slice_s": 3.0, "sweep_every_s": 1.0, "batch_size": 8, "decode_timeout_s": 20.0}


def phantom_png(seed: int, size: tuple[int, int] = (180, 220)) -> bytes:
    """A generated picture that looks a little like a bone; every seed gives other bytes."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(40, 12, (size[1], size[0])).clip(0, 255).astype(np.uint8)
    picture = Image.fromarray(noise)
    draw = ImageDraw.Draw(picture)
    left = int(rng.integers(20, size[0] - 80))
    draw.rounded_rectangle(
        (left, 10, left + int(rng.integers(20, 50)), size[1] - 10), 12, fill=int(rng.integers(150, 250))
    )
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait with a deadline; the message names what did not happen."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.1)


class Installation:
    """One system whose settings go to its worker processes by their environment, as in production."""

    def __init__(self, folder: Path, database_url: str, redis_url: str, bundle: Bundle, **changes: object) -> None:
        values: dict[str, object] = {
            "data_dir": folder,
            "database_url": database_url,
            "redis_url": redis_url,
            "secret_key": SECRET_KEY,
            "engine": "openvino",
            **FAST,
            **changes,
        }
        self.environment = {f"SCREENING_{name}".upper(): str(value) for name, value in values.items()}
        self.system: System = open_system(Settings(**values))  # type: ignore[arg-type]
        self.folder = folder
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.app = "worker.app"
        checkpoints.register(self.system.database, self.system.storage, utc_now(), bundle, bundle.default_form, "tests")

    def start(self, kind: str, name: str | None = None) -> subprocess.Popen[bytes]:
        """Start one worker process (prepare, screen, upkeep) or beat."""
        name = name or kind
        command = [sys.executable, "-m", "celery", "-A", self.app]
        if kind == "beat":
            command += ["beat", "-S", "celery.beat:Scheduler", "--pidfile="]
        else:
            command += ["worker", "-Q", kind, "-P", "solo", "-n", f"{name}@%h", "--without-gossip", "--without-mingle"]
        log = (self.folder / f"{name}.log").open("ab")
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **self.environment, "OMP_NUM_THREADS": "1"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        log.close()
        self.processes[name] = process
        return process

    def start_all(self) -> None:
        for kind in ("prepare", "screen", "upkeep", "beat"):
            self.start(kind)

    def kill_and_start_again(self, *kinds: str) -> None:
        """kill -9 of whole process groups, as a power cut would, and new processes in their place."""
        for kind in kinds:
            os.killpg(self.processes[kind].pid, signal.SIGKILL)
            self.processes[kind].wait()
        for kind in kinds:
            self.start(kind)

    def stop(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for name, process in self.processes.items():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                raise AssertionError(f"{name} did not stop within 30 s of SIGTERM; {self.log(name)}") from None

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")[-3000:]

    def open_run(self, name: str = "test", lane: str = "routine") -> int:
        with self.system.database.write() as session:
            return open_run(session, utc_now(), name, lane, "tests").id

    def upload(self, run: int, name: str, data: bytes) -> Receipted:
        with self.system.storage.receive() as incoming:
            incoming.write(data)
            receipt = take_in(self.system, run, name, incoming)
        self.system.waker.wake(QueueName.PREPARE, QueueName.SCREEN)
        return receipt

    def submit(self, run: int) -> None:
        with self.system.database.write() as session:
            submit_run(session, utc_now(), run, "tests")

    def progress(self, run: int) -> Progress:
        with self.system.database.read() as session:
            return progress_of(session, utc_now(), get_run(session, run))

    def state(self, run: int) -> str:
        with self.system.database.read() as session:
            return get_run(session, run).state

    def wait_complete(self, run: int, seconds: float = 90) -> Progress:
        def complete() -> bool:
            for name, process in self.processes.items():
                if process.poll() not in (None, -signal.SIGKILL):
                    raise AssertionError(f"{name} ended by itself: {self.log(name)}")
            return self.state(run) == "complete"

        try:
            wait_until(complete, seconds, f"run {run} complete")
        except AssertionError as error:
            logs = "\n".join(f"--- {name}\n{self.log(name)}" for name in self.processes)
            raise AssertionError(f"{error}; {self.progress(run)}\n{logs}") from None
        return self.progress(run)


@contextmanager
def installation(
    folder: Path, database_url: str, redis_url: str, bundle: Bundle, **changes: object
) -> Iterator[Installation]:
    """An installation whose processes are stopped and whose connections are closed at the end."""
    made = Installation(folder, database_url, redis_url, bundle, **changes)
    try:
        yield made
        made.stop()
    finally:
        for process in made.processes.values():
            if process.poll() is None:
                process.kill()
                process.wait()
        made.system.close()
