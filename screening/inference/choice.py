"""Which engine serves a checkpoint on this machine.

Engines are imported only when chosen: a CPU worker never loads torch, a GPU worker never loads OpenVINO.
"""

import ctypes
import importlib.util
from collections.abc import Sequence
from typing import Literal

from screening.cores import usable_cores
from screening.inference.bundle import Bundle
from screening.inference.engine import Engine, EngineError

EngineKind = Literal["auto", "openvino", "torch"]


def open_engine(kind: EngineKind, bundle: Bundle, form: str, threads: int = 0) -> Engine:
    """Load one form of a bundle into an engine.

    kind: `auto` takes torch for the fp32 form where CUDA works, OpenVINO otherwise.
    threads: CPU threads; 0 means every core that this process may use.
    Raises EngineError when the engine or the form is missing, BundleError when the bundle's files are not usable.
    """
    if form not in bundle.forms:
        raise EngineError(f"{bundle.name} has no form {form}; choose one of {', '.join(sorted(bundle.forms))}")
    if threads < 0:
        raise EngineError(f"{threads} threads are not possible; give a positive number, or 0 for every usable core")
    threads = threads or usable_cores()
    if kind == "torch" or (kind == "auto" and form == "fp32" and _cuda_works()):
        if form != "fp32":
            raise EngineError(f"the torch engine runs the form fp32, not {form}; activate that form or use openvino")
        _require(("torch", "torchvision"), "torch", "install the extra `gpu`, or set the engine to openvino")
        try:
            from screening.inference.torch_engine import TorchEngine
        except (ImportError, OSError) as error:
            raise EngineError(f"torch is installed here but does not load ({error}); install it again") from error
        return TorchEngine(bundle, threads)
    if kind not in ("auto", "openvino"):
        raise EngineError(f"there is no engine {kind}; choose auto, openvino or torch")
    _require(("openvino",), "openvino", "install this package with its dependencies, or set the engine to torch")
    from screening.inference.openvino_engine import OpenVinoEngine

    return OpenVinoEngine(bundle, form, threads)


def _require(packages: Sequence[str], engine: str, next_step: str) -> None:
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise EngineError(f"the {engine} engine needs {' and '.join(missing)}, not installed here; {next_step}")


def _cuda_works() -> bool:
    """Whether torch can use a GPU, found out without loading torch where there is no driver."""
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("torchvision") is None:
        return False
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    import torch

    return bool(torch.cuda.is_available())
