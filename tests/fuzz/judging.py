"""One file after the other through the limited children, and what must be true of every answer."""

import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

from screening.radiographs.decoder import Decoder
from screening.radiographs.limits import MIB, ContainerLimits, DecodeLimits
from screening.radiographs.problems import Unscreenable
from screening.radiographs.rendition_spec import RenditionSpec
from screening.radiographs.sniff import HEAD_BYTES, sniff, why_refused
from screening.radiographs.unpacker import unpack
from tests.unit.radiographs.samples import jpeg

SPEC = RenditionSpec(side=64)
LIMITS = DecodeLimits(max_file_bytes=16 * MIB, max_pixels=20_000_000, memory_bytes=768 * MIB, seconds=10.0)
CONTAINER_LIMITS = ContainerLimits(
    max_members=200, max_member_bytes=4 * MIB, max_total_bytes=64 * MIB, seconds_per_member=10.0
)
SPARE_S = 20.0
"""For starting a child on a busy machine, beside the time that one file may take."""
UNANSWERED = "unanswered"


class Judge:
    """Answers files as prepare workers do, and keeps count of the answers and of what was wrong with them."""

    def __init__(self) -> None:
        self._decoder = Decoder(LIMITS)
        self.answers: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.longest_s = 0.0

    def close(self) -> None:
        self._decoder.close()

    def judge(self, data: bytes) -> None:
        """Have one file answered. What is wrong about the answer is kept, with the number of the file."""
        began = time.monotonic()
        try:
            answer = self._answer(data)
        except Exception as error:
            answer = UNANSWERED
            self.wrong.append(f"file {self.answers.total()}: {type(error).__name__}: {error}")
        took = time.monotonic() - began
        self.longest_s = max(self.longest_s, took)
        self.answers[answer] += 1
        if took > LIMITS.seconds + SPARE_S:
            self.wrong.append(f"file {self.answers.total()}: answered after {took:.0f} s")
        self._look_at_child()

    def still_works(self) -> None:
        """What was sent before must not reach the next file."""
        self._decoder.prepare(jpeg(), SPEC)

    def _answer(self, data: bytes) -> str:
        kind, refusal = sniff(data[:HEAD_BYTES]), why_refused(data[:HEAD_BYTES])
        if kind is None or refusal is not None:
            return "refused at the door"
        try:
            if kind.is_container:
                with tempfile.NamedTemporaryFile() as file:
                    file.write(data)
                    file.flush()
                    for member in unpack(Path(file.name), CONTAINER_LIMITS):
                        assert member.data is not None or member.problem is not None
                return "unpacked"
            self._decoder.prepare(data, SPEC)
            return "prepared"
        except Unscreenable as problem:
            assert problem.code and problem.sentence.endswith(".")
            return problem.code

    def _look_at_child(self) -> None:
        child = self._decoder._child
        if child is None or not child.is_alive:
            return
        try:
            size = psutil.Process(child.pid).memory_info().vms
        except psutil.NoSuchProcess:
            return
        if size > LIMITS.memory_bytes:
            self.wrong.append(f"file {self.answers.total()}: the child has {size >> 20} MiB")
