"""What the processes of an installation use: processor time, and memory at its peak, by kind."""

import threading
from types import TracebackType
from typing import Self

import psutil

from screening.supervisor.programs import QUEUES

SAMPLE_EVERY_S = 0.25


class ProcessWatch:
    """Samples the memory of everything below one process while it is entered.

    `peak_mb` has the most memory (resident, MiB) of a single process of each kind; `cpu_s` the processor seconds that
    all of them together have used from entering to leaving, those that ended in between included.
    """

    def __init__(self, pid: int) -> None:
        self.peak_mb: dict[str, float] = {}
        self.cpu_s = 0.0
        self._root = psutil.Process(pid)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._before = self._processor_seconds()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
        self.cpu_s = self._processor_seconds() - self._before

    def _sample(self) -> None:
        while not self._stop.wait(SAMPLE_EVERY_S):
            for process in self._root.children(recursive=True):
                try:
                    kind, resident = _kind(process), process.memory_info().rss / 2**20
                except psutil.Error:
                    continue  # It ended while it was looked at.
                self.peak_mb[kind] = max(self.peak_mb.get(kind, 0.0), resident)

    def _processor_seconds(self) -> float:
        total = 0.0
        for process in [self._root, *self._root.children(recursive=True)]:
            try:
                total += sum(process.cpu_times()[:4])  # Its own, and that of children that have ended.
            except psutil.Error:
                continue
        return total


def _kind(process: psutil.Process) -> str:
    line = " ".join(process.cmdline())
    for queue in QUEUES:
        if f"-Q {queue}" in line:
            return queue
    for sign, kind in (
        ("radiographs.child", "decoding child"),
        ("gunicorn", "web"),
        (" beat", "beat"),
        ("valkey", "valkey"),
    ):
        if sign in line:
            return kind
    return "other"
