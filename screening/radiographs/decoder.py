"""The decoder: untrusted files are prepared one after the other in a persistent child process with limits.

The parent touches no pixels, and imports nothing that could.
"""

import time
from dataclasses import asdict
from types import TracebackType
from typing import Self

from screening.radiographs.facts import Facts, Prepared
from screening.radiographs.frames import BrokenFrame, Frame
from screening.radiographs.limited import ChildDied, ChildTimeout, LimitedChild, crashed, took_too_long
from screening.radiographs.limits import DecodeLimits
from screening.radiographs.problems import Unscreenable, too_large
from screening.radiographs.rendition_spec import RenditionSpec


class Decoder:
    """Prepares files in a limited child. One file at a time: a thread that decodes has a decoder of its own.

    The child starts with `warm_up` or the first file, is killed and replaced after a crash or a timeout, and is
    replaced after `limits.files_per_child` files. What one file does to it never reaches the next file.
    """

    def __init__(self, limits: DecodeLimits | None = None) -> None:
        self.limits = limits or DecodeLimits()
        self._child: LimitedChild | None = None
        self._files = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def warm_up(self) -> None:
        """Start the child ahead of the first file. Raises ChildFailed."""
        self._ready_child()

    def prepare(self, data: bytes, spec: RenditionSpec) -> Prepared:
        """Decode one file and make its rendition, display image and facts.

        Raises Unscreenable with the reason where the file cannot be screened, and ChildFailed where no child starts.
        """
        if len(data) > self.limits.max_file_bytes:
            raise too_large(len(data), self.limits.max_file_bytes)
        child = self._ready_child()
        deadline = time.monotonic() + self.limits.seconds
        try:
            child.send({"spec": spec.as_dict()}, (data,), deadline)
            answer = child.receive(deadline)
        except ChildTimeout:
            self.close()
            raise took_too_long() from None
        except ChildDied:
            self._child = None
            raise child.why_it_died() from None
        except BrokenFrame:
            self.close()
            raise crashed("answers that make no sense") from None
        except BaseException:
            # An interrupt in the middle of a frame leaves the pipe out of step.
            self.close()
            raise
        self._files += 1
        return self._as_prepared(answer)

    def close(self) -> None:
        """End the child. The decoder may be used again: it then starts another."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def _ready_child(self) -> LimitedChild:
        if self._child is not None and (self._files >= self.limits.files_per_child or not self._child.is_alive):
            self.close()
        if self._child is None:
            self._child = LimitedChild("decode", asdict(self.limits))
            self._files = 0
        return self._child

    def _as_prepared(self, answer: Frame) -> Prepared:
        header, parts = answer
        if "problem" in header:
            problem = Unscreenable(header["problem"]["code"], header["problem"]["sentence"])
            if problem.code == "memory":
                self.close()
            raise problem
        return Prepared(
            rendition_png=parts[0],
            rendition_size=tuple(header["rendition_size"]),
            display_jpeg=parts[1],
            display_size=tuple(header["display_size"]),
            facts=Facts.from_dict(header["facts"]),
            seconds=header["seconds"],
        )
