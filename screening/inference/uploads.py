"""Renditions on their way to a device, so that a GPU computes while the next ones are copied."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

BUFFERS = 2


class Uploads:
    """Two pairs of buffers, pinned here and on the device, that take turns (double buffering).

    What the host asks of a GPU is carried out later, in the order of a stream. Copies have a stream of their own, so
    that one part of a batch is copied while the network is at work on the part before it. Events keep the two apart:
    a buffer here is filled again when its copy has arrived, one there when the network has read it. On a CPU the same
    lines run on streams and events that do nothing (`torch.cpu`).
    """

    def __init__(self, device: torch.device, rows: int, side: int) -> None:
        """rows: the most renditions (side, side) of one part."""
        cuda = device.type == "cuda"
        self._streams = torch.cuda if cuda else torch.cpu
        shape = (rows, side, side)
        self._here = [torch.empty(shape, dtype=torch.uint8, pin_memory=cuda) for _ in range(BUFFERS)]
        self._there = [torch.empty(shape, dtype=torch.uint8, device=device) for _ in range(BUFFERS)]
        self._arrived = [self._streams.Event() for _ in range(BUFFERS)]
        self._read = [self._streams.Event() for _ in range(BUFFERS)]
        self._copies = self._streams.Stream()
        self._turns = cycle(range(BUFFERS))

    @contextmanager
    def uploaded(self, part: NDArray[np.uint8]) -> Iterator[Tensor]:
        """(n, side, side) uint8 -> the same on the device, for what is asked of it inside the block."""
        turn = next(self._turns)
        here, there = (buffers[turn][: len(part)] for buffers in (self._here, self._there))
        self._arrived[turn].synchronize()
        here.copy_(torch.from_numpy(part))
        with self._streams.stream(self._copies):
            self._copies.wait_event(self._read[turn])
            there.copy_(here, non_blocking=True)
            self._arrived[turn].record(self._copies)
        computing = self._streams.current_stream()
        computing.wait_event(self._arrived[turn])
        try:
            yield there
        finally:
            self._read[turn].record(computing)
