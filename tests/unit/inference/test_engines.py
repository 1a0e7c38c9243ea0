"""Engines: right answers for every batch size, refusals with a next step, and agreement with each other."""

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from screening.inference.bundle import GOLDEN, WEIGHTS, Bundle, BundleError
from screening.inference.choice import open_engine
from screening.inference.engine import Engine, EngineError, NotFiniteError, to_predictions
from screening.inference.openvino_engine import parts_of, shared_out
from tests.bundles import make_random_bundle, random_renditions

Alter = Callable[[Callable[[Path], None]], Bundle]


@pytest.fixture(scope="module")
def engine(bundle: Bundle) -> Engine:
    return open_engine("openvino", bundle, "fp32", threads=2)


def test_says_what_it_is(engine: Engine) -> None:
    assert (engine.name, engine.side, engine.precision) == ("openvino", 64, "fp32")
    assert "2 threads" in engine.device


@pytest.mark.parametrize("count", [1, 5, 33])
def test_any_batch_size_gives_each_row_its_own_answer_in_order(engine: Engine, bundle: Bundle, count: int) -> None:
    golden = load_file(bundle.folder / GOLDEN)
    order = np.random.default_rng(count).integers(0, len(golden["renditions"]), count)
    answer = engine.predict(golden["renditions"][order])
    np.testing.assert_allclose(answer.probabilities, golden["fp32.probabilities"][order], atol=1e-5)
    np.testing.assert_allclose(answer.maps, golden["fp32.maps"][order], atol=1e-3)
    assert answer.probabilities.dtype == answer.maps.dtype == np.float32


@pytest.mark.parametrize("threads", [1, 3, 6])
def test_answers_do_not_depend_on_the_lanes_that_share_a_batch(engine: Engine, bundle: Bundle, threads: int) -> None:
    batch = random_renditions(29, 64, np.random.default_rng(5))
    expected, answer = engine.predict(batch), open_engine("openvino", bundle, "fp32", threads).predict(batch)
    np.testing.assert_allclose(answer.probabilities, expected.probabilities, atol=1e-6)
    np.testing.assert_allclose(answer.maps, expected.maps, atol=1e-5)


def test_a_process_is_still_asked_to_stop_after_engines_have_come_and_gone(bundle: Bundle) -> None:
    """As a worker exchanges checkpoints; each engine has two lanes, as on two cores."""
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from screening.inference.bundle import read_bundle; from screening.inference.choice import open_engine\n"
        "signal.signal(signal.SIGTERM, lambda *_: print('asked to stop', flush=True))\n"
        "bundle = read_bundle(Path(sys.argv[1]))\n"
        "first = open_engine('openvino', bundle, 'fp32', threads=2)\n"
        "second = open_engine('openvino', bundle, 'fp32', threads=2)\n"
        "del first; del second\n"
        "os.kill(os.getpid(), signal.SIGTERM)"
    )
    command = [sys.executable, "-c", program, str(bundle.folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=60)
    assert done.stdout == "asked to stop\n"


@pytest.mark.parametrize(("threads", "shares"), [(1, [1]), (2, [1, 1]), (6, [2, 2, 1, 1]), (16, [4, 4, 4, 4])])
def test_lanes_share_the_threads(threads: int, shares: list[int]) -> None:
    assert shared_out(threads) == shares


@pytest.mark.parametrize("largest", [2, 4])
@pytest.mark.parametrize("lanes", [1, 2, 4])
@pytest.mark.parametrize("count", [1, 2, 7, 32, 100])
def test_parts_cover_a_batch_once_and_become_smaller(count: int, lanes: int, largest: int) -> None:
    parts = parts_of(count, lanes, largest)
    assert [row for part in parts for row in range(part.start, part.stop)] == list(range(count))
    sizes = [part.stop - part.start for part in parts]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] <= largest


def test_lanes_that_begin_at_the_same_time_in_a_new_process_end(bundle: Bundle) -> None:
    """Two first calls of OpenVINO's bindings can wait for each other for ever; switching threads all the time makes
    it likely."""
    script = f"""
import sys, threading
from pathlib import Path
import numpy as np
from screening.inference.bundle import read_bundle
from screening.inference.choice import open_engine
engine = open_engine("openvino", read_bundle(Path({str(bundle.folder)!r})), "fp32", 2)
sys.setswitchinterval(1e-7)
for _ in range(2):
    threading.Thread(target=lambda: all(iter(lambda: 1, 0)), daemon=True).start()
engine.predict(np.zeros((32, 64, 64), np.uint8))
"""
    for _ in range(3):
        subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_answers_stay_when_the_next_batch_is_screened(engine: Engine) -> None:
    rng = np.random.default_rng(3)
    first = engine.predict(random_renditions(4, 64, rng))
    probabilities, maps = first.probabilities.copy(), first.maps.copy()
    engine.predict(random_renditions(4, 64, rng))
    np.testing.assert_array_equal(first.probabilities, probabilities)
    np.testing.assert_array_equal(first.maps, maps)


def test_mean_and_peak_of_the_map_and_the_bias_make_the_probability(engine: Engine, bundle: Bundle) -> None:
    weights = load_file(bundle.folder / WEIGHTS)
    bias, peak = float(weights["fc.bias"][0]), float(weights["pool.peak"])
    answer = engine.predict(random_renditions(3, 64, np.random.default_rng(4)))
    for probability, values in zip(answer.probabilities, answer.maps, strict=True):
        logit = values.mean() + peak * values.max() + bias
        assert probability == pytest.approx(1 / (1 + math.exp(-logit)), abs=1e-5)


@pytest.mark.parametrize(
    "batch",
    [
        np.zeros((0, 64, 64), np.uint8),
        np.zeros((2, 96, 96), np.uint8),
        np.zeros((64, 64), np.uint8),
        np.zeros((1, 64, 64), np.float32),
    ],
    ids=["empty", "another side", "no batch axis", "not uint8"],
)
def test_batches_of_another_shape_or_type_are_refused(engine: Engine, batch: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"takes uint8 \(n, 64, 64\)"):
        engine.predict(batch)


def test_rows_without_a_number_are_named() -> None:
    logits = np.array([0.0, np.nan, 1.0, 2.0], np.float32)
    maps = np.zeros((4, 2, 2), np.float32)
    maps[3, 1, 1] = np.inf
    with pytest.raises(NotFiniteError, match="row 1, 3 of the batch") as caught:
        to_predictions(logits, maps, 4)
    assert caught.value.rows == (1, 3)


def test_a_wrong_number_of_outputs_is_refused() -> None:
    with pytest.raises(ValueError, match="3 renditions gave"):
        to_predictions(np.zeros(2, np.float32), np.zeros((3, 2, 2), np.float32), 3)


def test_extreme_logits_give_certain_probabilities() -> None:
    answer = to_predictions(np.array([-1e6, 1e6], np.float32), np.zeros((2, 1, 1), np.float32), 2)
    assert answer.probabilities.tolist() == [0.0, 1.0]


def test_unknown_forms_engines_and_threads_are_refused_with_a_choice(bundle: Bundle) -> None:
    with pytest.raises(EngineError, match="has no form fp8; choose one of fp32, int8"):
        open_engine("openvino", bundle, "fp8")
    with pytest.raises(EngineError, match="choose auto, openvino or torch"):
        open_engine("tensorrt", bundle, "fp32")  # type: ignore[arg-type]
    with pytest.raises(EngineError, match="positive number"):
        open_engine("openvino", bundle, "fp32", threads=-1)
    with pytest.raises(EngineError, match="not int8; activate that form or use openvino"):
        open_engine("torch", bundle, "int8")


def test_a_graph_for_another_side_is_refused(altered: Alter, tmp_path: Path) -> None:
    other = make_random_bundle(tmp_path / "other", side=96)

    def swap(folder: Path) -> None:
        for name in ("fp32.xml", "fp32.bin"):
            (folder / name).write_bytes((other.folder / name).read_bytes())

    with pytest.raises(BundleError, match="its card says side 64; export the bundle again"):
        open_engine("openvino", altered(swap), "fp32")


def test_a_broken_graph_is_refused(altered: Alter) -> None:
    def garble(folder: Path) -> None:
        (folder / "fp32.xml").write_text("<net/>")

    broken = altered(garble)
    with pytest.raises(BundleError, match="export the bundle again"):
        open_engine("openvino", broken, "fp32")


def test_a_cpu_worker_never_loads_torch(bundle: Bundle) -> None:
    script = (
        "import sys, pathlib\n"
        "from screening.inference.bundle import read_bundle\n"
        "from screening.inference.choice import open_engine\n"
        "assert 'openvino' not in sys.modules\n"
        f"open_engine('openvino', read_bundle(pathlib.Path({str(bundle.folder)!r})), 'fp32', 1)\n"
        "assert 'torch' not in sys.modules and 'openvino' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_a_missing_package_is_named_with_what_to_install(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    for engine, package in (("openvino", "openvino"), ("torch", "torchvision")):
        with monkeypatch.context() as patch:
            patch.setattr("importlib.util.find_spec", lambda name, gone=package: None if name == gone else object())
            with pytest.raises(EngineError, match=rf"needs {package}, not installed here; (install|set)"):
                open_engine(engine, bundle, "fp32")  # type: ignore[arg-type]
