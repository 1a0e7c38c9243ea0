"""An installation of the benchmark's own: `screening up` in a new folder, with a second checkpoint to re-screen by."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from safetensors.numpy import load_file, save_file

from screening.client.http import Connection
from screening.inference.bundle import CARD, WEIGHTS, Bundle, file_digest
from screening.supervisor.readiness import why_not_ready

STARTS_WITHIN_S = 120.0
STOPS_WITHIN_S = 60.0
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Installed:
    """A running installation."""

    connection: Connection
    process: subprocess.Popen[bytes]
    folder: Path


def with_twin(bundle: Bundle, folder: Path) -> Path:
    """A folder of released bundles: this one, and a twin of it that answers the same under another identity."""
    shutil.copytree(bundle.folder, folder / "1-active")
    twin = folder / "2-twin"
    shutil.copytree(bundle.folder, twin)
    tensors = load_file(twin / WEIGHTS)
    (twin / WEIGHTS).unlink()
    save_file(tensors, twin / WEIGHTS, metadata={"twin": "of a benchmark"})
    card = json.loads((twin / CARD).read_text("utf-8"))
    card["files"][WEIGHTS] = file_digest(twin / WEIGHTS)
    card["name"] = f"{card['name']}-twin"
    (twin / CARD).write_text(json.dumps(card), "utf-8")
    return folder


@contextmanager
def running(folder: Path, checkpoint_dir: Path, settings: Mapping[str, str]) -> Iterator[Installed]:
    """Start everything and wait until it is ready; stop it at the end. Raises RuntimeError where it does not start.

    settings: names as in the environment. `SCREENING_...` of the caller's own environment does not count.
    """
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SCREENING_")}
    environment |= {"SCREENING_CHECKPOINT_DIR": str(checkpoint_dir), **settings}
    command = [str(Path(sys.executable).with_name("screening")), "up", "--port", str(port), "--data", str(folder)]
    output = folder.with_suffix(".out")
    with output.open("wb") as stream:
        process = subprocess.Popen(command, env=environment, stdout=stream, stderr=stream, start_new_session=True)
    try:
        deadline = time.monotonic() + STARTS_WITHIN_S
        while (trouble := why_not_ready(HOST, port)) is not None:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"`screening up` is not ready ({trouble}): {output.read_text('utf-8')[-2000:]}")
            time.sleep(0.2)
        token = (folder / "operator.token").read_text("utf-8").strip()
        with Connection(f"http://{HOST}:{port}", token) as connection:
            yield Installed(connection, process, folder)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            # What it supervises ends with it.
            process.kill()
            process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
