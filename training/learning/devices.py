"""The device that trains: the first GPU in mixed precision, or the processor in fp32."""

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

    def mixed_precision(self) -> AbstractContextManager[Any]:
        """bf16 where there is a GPU: it needs no loss scaling. Processors without bf16 units are faster in fp32."""
        return torch.autocast(self.torch_device.type, dtype=torch.bfloat16, enabled=self.is_gpu)


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
