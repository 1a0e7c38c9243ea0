"""LitServe and BentoML against the whole system: pictures per second from the first byte sent to the last answer."""

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx

from benchmarks.peers.environments import environment, serving, version_of
from benchmarks.real_archive import RELEASED
from screening.bench.installation import free_port, running
from screening.bench.pictures import pictures_in
from screening.bench.whole import first_screening
from screening.inference.bundle import read_bundle

FORM = "fp32"
CONNECTIONS = 64
"""Two batches are under way at a time, so that neither peer waits for its client."""
WARM_UP = 64
TRIES = 5
AGAIN_AFTER_S = 0.05
"""BentoML's services lose connections to each other now and then and answer 500."""


def compare_serving(images: Path, count: int, rounds: int) -> list[tuple[str, list[float]]]:
    """Name and images per second of each round: this system first."""
    pictures = pictures_in(images, count)
    with tempfile.TemporaryDirectory(prefix="peers-") as made:
        work = Path(made)
        rows: list[tuple[str, Callable[[int], float]]] = [
            ("this system, all kept", partial(_ours, work, pictures)),
            (f"LitServe {version_of('litserve', 'litserve')}", partial(_litserve, work, pictures)),
            (f"BentoML {version_of('bentoml', 'bentoml')}", partial(_bentoml, work, pictures)),
        ]
        found: list[tuple[str, list[float]]] = [(name, []) for name, _ in rows]
        for number in range(rounds):
            for (_, values), (_, measure) in zip(found, rows, strict=True):
                values.append(measure(number))
    return found


def _ours(work: Path, pictures: list[Path], number: int) -> float:
    with running(work / f"ours-{number}", RELEASED.parent, {"SCREENING_FORM": FORM}) as installed:
        return first_screening(installed, pictures).images_per_s


def _litserve(work: Path, pictures: list[Path], _number: int) -> float:
    port = free_port()
    command = [str(environment("litserve") / "python"), "serve_litserve.py", str(port)]
    return _asked(command, port, work, pictures)


def _bentoml(work: Path, pictures: list[Path], _number: int) -> float:
    port = free_port()
    options = ["--host", "127.0.0.1", "--port", str(port)]
    command = [str(environment("bentoml") / "bentoml"), "serve", "serve_bentoml:Fracture", *options]
    return _asked(command, port, work, pictures)


def _asked(command: list[str], port: int, work: Path, pictures: list[Path]) -> float:
    """Images per second of a peer that answers POST /predict with the file as `content`."""
    network = read_bundle(RELEASED)
    settings = {
        "PEER_NETWORK": str(RELEASED / f"{FORM}.xml"),
        "PEER_SIDE": str(network.rendition.side),
        "BENTOML_DO_NOT_TRACK": "1",
        "BENTOML_HOME": str(work / "bentoml"),
        "PATH": f"{Path(command[0]).parent}:/usr/bin:/bin",
    }
    address = f"http://127.0.0.1:{port}"
    with serving(command, f"{address}/docs", work, settings), ThreadPoolExecutor(CONNECTIONS) as threads:
        limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
        with httpx.Client(timeout=120, limits=limits) as client:

            def ask(path: Path) -> float:
                files = {"content": (path.name, path.read_bytes(), "image/jpeg")}
                for _ in range(TRIES):
                    answer = client.post(f"{address}/predict", files=files)
                    if answer.status_code < 500:
                        break
                    time.sleep(AGAIN_AFTER_S)
                answer.raise_for_status()
                return float(answer.json()["probability"])

            list(threads.map(ask, pictures[:WARM_UP]))
            started = time.perf_counter()
            answered = list(threads.map(ask, pictures))
            return len(answered) / (time.perf_counter() - started)
