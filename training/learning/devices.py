"""The device that trains: the first GPU or the processor, in mixed precision where it computes in bf16."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Device:
    """Where tensors live and how networks compute there."""

    torch_device: torch.device
    compiled: bool = False
    """Whether torch.compile fuses the networks' layers: about 1.6 times as fast for lite0 on a processor, 1.1 for
    ResNet-18, for half a minute of waiting and a C++ compiler. It changes results by rounding."""

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
    return Device(torch.device("cuda" if use_gpu else "cpu"), compiled)
