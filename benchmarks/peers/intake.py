"""Orthanc against this system: DICOM files taken in per second.

Both hash each file, read what it says of itself, and have it on disk and in a database before they answer. This system
is told three times: until each file has its receipt while nothing is decoded, which is what Orthanc does; the same
while what has come is decoded on the same processors, as is usual; and until all is decoded and stored.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import psutil
import pydicom
from pydicom.uid import generate_uid

from benchmarks.peers.environments import serving
from benchmarks.real_archive import RELEASED
from screening.bench.installation import free_port, running
from screening.client.files import LocalFile
from screening.client.http import Connection
from screening.client.runs import get_run, open_run, submit_run
from screening.client.uploading import Upload

CONNECTIONS = 4
SETTLES_WITHIN_S = 5.0
REFUSED_BY_ORTHANC = "NM_Kakadu44_SOTmarkerincons.dcm"
"""Its JPEG 2000 markers contradict each other. It is left out for both."""
ENDED = ("queued", "screening", "screened", "rejected", "failed")


def compare_intake(files: Path, count: int, rounds: int) -> list[tuple[str, list[float]]]:
    """Name and files per second of each round: this system first. Raises RuntimeError without Orthanc."""
    orthanc = shutil.which("Orthanc")
    if orthanc is None:
        raise RuntimeError("Orthanc is not installed; `apt-get install orthanc` does it")
    said = subprocess.run([orthanc, "--version"], check=True, capture_output=True, text=True).stdout.split()
    alone: list[float] = []
    beside: list[float] = []
    prepared: list[float] = []
    peer: list[float] = []
    with tempfile.TemporaryDirectory(prefix="peers-") as made:
        work = Path(made)
        for number in range(rounds):
            paths = distinct(files, work / f"files-{number}", count)
            alone.append(_ours(work / f"alone-{number}", paths, decoding=False)[0])
            peer.append(_orthanc(orthanc, work / f"orthanc-{number}", paths))
            received, ready = _ours(work / f"beside-{number}", paths, decoding=True)
            beside.append(received)
            prepared.append(ready)
            for used in ("files", "alone", "orthanc", "beside"):
                shutil.rmtree(work / f"{used}-{number}")
    return [
        ("this system, nothing decoded meanwhile", alone),
        (f"Orthanc {said[1]}", peer),
        ("this system, decoding at the same time", beside),
        ("this system, until all is decoded", prepared),
    ]


def distinct(files: Path, folder: Path, count: int) -> list[Path]:
    """So many files with identifiers of their own, made of the ones that are there in turns."""
    folder.mkdir()
    originals = [pydicom.dcmread(path) for path in sorted(files.glob("*.dcm")) if path.name != REFUSED_BY_ORTHANC]
    paths = []
    for number in range(count):
        dataset = originals[number % len(originals)]
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        path = folder / f"{number:05}.dcm"
        dataset.save_as(path)
        paths.append(path)
    return paths


def _ours(folder: Path, paths: list[Path], decoding: bool) -> tuple[float, float]:
    """Files per second until each has its receipt, and until each has been decoded."""
    with running(folder, RELEASED.parent, {}) as installed, _held(installed.process.pid, decoding):
        run: int = open_run(installed.connection, "intake", "routine")["id"]
        upload = Upload(installed.connection, run, lambda _receipt, _size: None)
        _settle()
        started = time.perf_counter()
        upload.send([LocalFile(path, path.name) for path in paths])
        received = time.perf_counter() - started
        if any(receipt.status != "accepted" for receipt in upload.receipts):
            raise RuntimeError("a file was not accepted")
        submit_run(installed.connection, run)
        while decoding and _decoded(installed.connection, run) < len(paths):
            time.sleep(0.1)
        return len(paths) / received, len(paths) / (time.perf_counter() - started)


def _decoded(connection: Connection, run: int) -> int:
    return sum(get_run(connection, run)["counts"][state] for state in ENDED)


@contextmanager
def _held(supervisor: int, decoding: bool) -> Iterator[None]:
    """With the prepare worker standing still unless it is to decode."""
    processes = psutil.Process(supervisor).children()
    held = [] if decoding else [p for p in processes if "prepare" in p.cmdline()]
    for process in held:
        process.suspend()
    yield
    for process in held:
        process.resume()


def _settle() -> None:
    """Let workers finish opening, and the disk finish what was written before: the next one is not to wait for it."""
    time.sleep(SETTLES_WITHIN_S)
    os.sync()


def _orthanc(orthanc: str, folder: Path, paths: list[Path]) -> float:
    folder.mkdir()
    port = free_port()
    settings = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "HttpPort": port,
        "DicomPort": free_port(),
        "AuthenticationEnabled": False,
        "RemoteAccessAllowed": False,
        "Plugins": [],
    }
    (folder / "orthanc.json").write_text(json.dumps(settings), "utf-8")
    address = f"http://127.0.0.1:{port}"
    with (
        serving([orthanc, str(folder / "orthanc.json")], f"{address}/system", folder, {}),
        ThreadPoolExecutor(CONNECTIONS) as threads,
        httpx.Client(timeout=120) as client,
    ):
        _settle()
        started = time.perf_counter()
        list(threads.map(partial(_send, client, f"{address}/instances"), paths))
        took = time.perf_counter() - started
        kept = client.get(f"{address}/statistics").json()["CountInstances"]
    if kept != len(paths):
        raise RuntimeError(f"Orthanc kept {kept} of {len(paths)} files")
    return len(paths) / took


def _send(client: httpx.Client, address: str, path: Path) -> None:
    client.post(address, content=path.read_bytes(), headers={"Content-Type": "application/dicom"}).raise_for_status()
