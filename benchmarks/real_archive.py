"""What benchmarks on real X-rays share: the pictures, another checkpoint, and an installation with true defaults."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count, islice
from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13
from safetensors.numpy import load_file, save_file

from benchmarks.million_jobs import server
from screening import checkpoints
from screening.checkpoints import register
from screening.clock import utc_now
from screening.database.migrate import upgrade
from screening.inference.bundle import CARD, GOLDEN, Bundle, file_digest, read_bundle
from screening.radiographs.limits import DecodeLimits
from screening.radiographs.rendition import RenditionSpec, fit_input
from screening.radiographs.rendition_file import load_rendition
from screening.rescreening.opening import open_over_archive
from screening.rescreening.selection import Selection
from screening.settings import Settings
from screening.storage import rendition_key
from tests.conftest import ROOT, free_port, running_valkey
from tests.installation import Installation, installation
from worker.prepare import Preparer

RELEASED = next((ROOT / "checkpoints").iterdir())
REAL = {name: Settings.model_fields[name].default for name in ("lease_s", "slice_s", "sweep_every_s", "batch_size")}
"""The defaults, in place of the short times and small batches that tests use."""
ORDINARY_CHANNELS = 64


def pictures(paths: list[Path], wanted: int) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of so many different files: those that are there, then again with other bytes but the same picture.

    JPEG readers ignore what follows the end of the picture; the first 128 bytes of a DICOM file have no meaning.
    """
    return islice(_endless(paths), wanted)


def _endless(paths: list[Path]) -> Iterator[tuple[str, bytes]]:
    for turn in count():
        for path in paths:
            data, mark = path.read_bytes(), f"copy {turn}".encode()
            if turn and path.suffix == ".dcm":
                data = mark.ljust(128, b"\0") + data[128:]
            elif turn:
                data += mark
            yield f"{turn}/{path.name}", data


def another_bundle(folder: Path, seed: int, strength: float = 0.3) -> Bundle:
    """The released checkpoint with every shift of its batch normalisations moved at random, for the OpenVINO engine.

    strength: in standard deviations of the shifts of a layer. The rendition spec stays, the identity does not.
    """
    shutil.copytree(RELEASED, folder)
    rng = np.random.default_rng(seed)
    graph = ov.Core().read_model(RELEASED / "fp32.xml")
    for operation in graph.get_ops():
        if operation.get_type_name() != "Constant" or operation.get_output_size() != 1:
            continue
        readers = operation.output(0).get_target_inputs()
        if {reader.get_node().get_type_name() for reader in readers} != {"Add"}:
            continue
        shifts = operation.data
        if shifts.size < ORDINARY_CHANNELS:
            continue
        moved = shifts + rng.normal(0, strength * shifts.std(), shifts.shape).astype(np.float32)
        for reader in readers:
            reader.replace_source_output(opset13.constant(moved).output(0))
    ov.save_model(graph, folder / "fp32.xml", compress_to_fp16=False)
    golden = load_file(folder / GOLDEN)
    compiled = ov.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": 1})
    answer = compiled(golden["renditions"][:, None])
    golden["fp32.probabilities"] = (1 / (1 + np.exp(-np.array(answer["logits"])))).astype(np.float32)
    golden["fp32.maps"] = np.array(answer["maps"])
    save_file(golden, folder / GOLDEN)
    card = json.loads((folder / CARD).read_text("utf-8"))
    card["name"] = folder.name
    card["files"] = {name: file_digest(folder / name) for name in card["files"]}
    (folder / CARD).write_text(json.dumps(card), "utf-8")
    return read_bundle(folder)


@contextmanager
def installed(sqlite: bool = False, **changes: object) -> Iterator[Installation]:
    """An installation with the released checkpoint active, on PostgreSQL or SQLite."""
    folder = Path(tempfile.mkdtemp(prefix="archive-"))
    try:
        with ExitStack() as stack:
            url = f"sqlite:///{folder / 'screening.db'}" if sqlite else stack.enter_context(server(None))
            redis_url = stack.enter_context(running_valkey(free_port()))
            upgrade(url)
            values = {**REAL, "decode_timeout_s": 60.0, **changes}
            yield stack.enter_context(
                installation(folder / "data", url, f"{redis_url}/0", read_bundle(RELEASED), **values)
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def standing(**changes: object) -> Iterator[tuple[Installation, str]]:
    """(an installation on PostgreSQL with the released checkpoint active, the id of another that is registered)."""
    with tempfile.TemporaryDirectory(prefix="another-") as folder, installed(**changes) as made:
        system = made.system
        other = another_bundle(Path(folder) / "another", seed=4)
        candidate, _ = register(system.database, system.storage, utc_now(), other, "fp32", "benchmark")
        yield made, candidate


def open_night(made: Installation, checkpoint: str) -> int:
    """Open a run of this checkpoint over everything that it has not screened: its id."""
    with made.system.database.write() as session:
        chosen = checkpoints.get(session, checkpoint)
        opened = open_over_archive(session, utc_now(), "night", chosen, Selection(), None, "benchmark")
    if opened is None:
        raise SystemExit("There was nothing to open a run over.")
    return opened.run_id


def upload(made: Installation, name: str, files: Iterator[tuple[str, bytes]], lane: str = "routine") -> int:
    """Submit these files as one run: its id."""
    run = made.open_run(name, lane)
    for file_name, data in files:
        made.upload(run, file_name, data)
    made.submit(run)
    return run


def prepare_all(made: Installation) -> None:
    """Do the prepare workers' part in this process, with a decoding child for each core."""
    preparer = Preparer(made.system, DecodeLimits(), children=2)
    while preparer.prepare_slice(lambda: False):
        pass
    preparer.close()


def squares(made: Installation, spec: RenditionSpec, scan_ids: list[str]) -> NDArray[np.uint8]:
    """The stored renditions of these scans as a batch: (n, side, side)."""
    stored = (made.system.storage.get(rendition_key(scan_id, spec.hash)) for scan_id in scan_ids)
    return np.stack([fit_input(load_rendition(png), spec.side) for png in stored])
