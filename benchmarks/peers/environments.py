"""The peers' environments: made from their pinned requirements when they are first needed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parents[1] / ".venv-peers"
STARTS_WITHIN_S = 120.0
STOPS_WITHIN_S = 20.0


def environment(name: str) -> Path:
    """The folder of programs of an environment with the packages of `NAME.txt`."""
    requirements, folder = HERE / f"{name}.txt", ENVIRONMENTS / name
    made = folder / ".made"
    if not made.exists() or made.read_text("utf-8") != requirements.read_text("utf-8"):
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        uv = str(Path(sys.executable).with_name("uv"))
        python = str(folder / "bin" / "python")
        options = ["--quiet", "--python", python, "--require-hashes", "-r", str(requirements)]
        subprocess.run([uv, "pip", "install", *options], check=True)
        made.write_text(requirements.read_text("utf-8"), "utf-8")
    return folder / "bin"


def version_of(name: str, package: str) -> str:
    command = [
        str(environment(name) / "python"),
        "-c",
        f"from importlib.metadata import version as v; print(v('{package}'))",
    ]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@contextmanager
def serving(command: list[str], answers_at: str, folder: Path, settings: Mapping[str, str]) -> Iterator[int]:
    """Start a server and wait until this address answers anything; its process id. Its output goes into the folder."""
    log = folder / f"{Path(command[0]).name}.log"
    with log.open("ab") as stream:
        process = subprocess.Popen(
            command, cwd=HERE, env={**os.environ, **settings}, stdout=stream, stderr=stream, start_new_session=True
        )
    try:
        deadline = time.monotonic() + STARTS_WITHIN_S
        while not _answers(answers_at):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not start: {log.read_text('utf-8', 'replace')[-2000:]}")
            time.sleep(0.2)
        yield process.pid
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=2).status_code < 500
    except httpx.HTTPError:
        return False
