"""The device that trains: the first GPU or the processor, in mixed precision where it computes in bf16."""

import ctypes
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch

# <malloc.h> of glibc. No mappings of their own for large blocks, and nothing given back from the heap's end.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_MOST = 2**31 - 1


@dataclass(frozen=True)
class Device:
    """Where tensors live and how networks compute there."""

    torch_device: torch.device
    compiled: bool = False
    """Whether torch.compile fuses the networks' layers, for half a minute of waiting and a C++ compiler. Meant for
    GPUs: on 2 cores lite0 takes 1.10 steps a second with it and 1.18 without. It changes results by rounding."""

    @property
    def is_gpu(self) -> bool:
        return self.torch_device.type == "cuda"

    @property
    def has_bf16(self) -> bool:
        """Whether the device multiplies in bf16: GPUs do, and processors with AVX-512 BF16 or AMX, where ResNet-18
        trains 1.4 to 1.8 times as fast and a teacher looks 1.7 times as fast. Without such units bf16 is slower."""
        if self.is_gpu:
            return True
        able = torch.cpu.get_capabilities()
        return bool(able.get("avx512_bf16") or able.get("amx_bf16"))

    def mixed_precision(self) -> AbstractContextManager[Any]:
        """bf16 where the device has it; unlike fp16 it needs no loss scaling."""
        return torch.autocast(self.torch_device.type, dtype=torch.bfloat16, enabled=self.has_bf16)


def keep_freed_memory() -> None:
    """Have glibc keep for this process what is freed, where glibc is the C library.

    Activations of tens of megabytes come and go with every step. glibc maps each anew and gives it back, and the kernel
    clears every page again, which took half of the processor's time: fine-tuning a compiled lite0 at 256 px on 2 cores
    went from 0.67 to 1.07 steps of 16 pictures a second. What it costs is that memory stays at its highest.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, _MOST)


def choose_device(name: str = "auto", compiled: bool = False, threads: int | None = None) -> Device:
    """auto, cpu or cuda; threads: of the processor, for this whole process.

    Raises ValueError when the device that was asked for is not there.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("no CUDA device is seen by torch; leave --device out to train on the processor")
    if name not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device {name!r} is not known; choose auto, cpu or cuda")
    if threads:
        torch.set_num_threads(threads)
    use_gpu = name != "cpu" and torch.cuda.is_available()
    if not use_gpu:
        keep_freed_memory()
    return Device(torch.device("cuda" if use_gpu else "cpu"), compiled)
