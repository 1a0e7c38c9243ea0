"""A child process with limits, and the parent's end of its pipes. Standard library only.

The child dies with its parent by itself: it waits for requests on a pipe that closes when the parent is gone, and its
limit on processor time ends any loop that never gets back to waiting. (The kernel's parent-death signal is of no use
here: it fires when the *thread* that started the child ends.)
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import screening
from screening.radiographs import frames
from screening.radiographs.problems import Unscreenable

_START_SECONDS = 120.0
_PIECE = 1 << 20
_SOURCE = Path(screening.__file__).parents[1]


class ChildFailed(RuntimeError):
    """The child could not be started: the installation is broken, and no file is to blame."""


class ChildTimeout(Exception):
    """The child did not answer by the deadline."""


class ChildDied(Exception):
    """The child ended before it answered."""


class LimitedChild:
    """One running child. Not for several threads at once."""

    def __init__(self, task: str, options: dict[str, Any], pass_fd: int | None = None) -> None:
        """Start `python -m screening.radiographs.child TASK OPTIONS` and wait until it has put on its limits."""
        self._process = subprocess.Popen(
            child_command(task, options),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # Decoders quote header values in their warnings; those must not reach a log.
            env=_scrubbed_environment(),
            cwd="/",
            pass_fds=() if pass_fd is None else (pass_fd,),
            bufsize=0,
        )
        self._pipes = [stream for stream in (self._process.stdin, self._process.stdout) if stream is not None]
        self._to, self._from = (stream.fileno() for stream in self._pipes)
        os.set_blocking(self._to, False)
        os.set_blocking(self._from, False)
        try:
            self.receive(time.monotonic() + _START_SECONDS)  # The first frame says that the limits are on.
        except (ChildTimeout, ChildDied, frames.BrokenFrame) as error:
            self.kill()
            raise ChildFailed(
                f"the decoding child does not start (exit status {self._process.returncode}); "
                f"run `{sys.executable} -P -m screening.radiographs.child {task}` to see why"
            ) from error

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, header: frames.Header, parts: Sequence[bytes], deadline: float) -> None:
        for piece in frames.pack(header, parts):
            rest = memoryview(piece)
            while rest:
                self._wait(self._to, select.POLLOUT, deadline)
                try:
                    rest = rest[os.write(self._to, rest[:_PIECE]) :]
                except BlockingIOError:
                    continue
                except BrokenPipeError:
                    raise ChildDied from None

    def receive(self, deadline: float, most_body_bytes: int = 1 << 30) -> frames.Frame:
        head_size, body_size = frames.lengths(self._read(frames.PREFIX.size, deadline), most_body_bytes)
        head = self._read(head_size, deadline)
        return frames.unpack(head, self._read(body_size, deadline))

    def kill(self) -> None:
        """End the child at once, and collect it."""
        self._process.kill()
        self._process.wait()
        for stream in self._pipes:
            stream.close()

    def why_it_died(self) -> Unscreenable:
        """Why a child that died while it worked on a file did so. Collects the child."""
        try:
            status = self._process.wait(5)
        except subprocess.TimeoutExpired:
            status = 0
        self.kill()
        if status == -signal.SIGXCPU:
            return took_too_long()
        name = signal.Signals(-status).name if -status in set(signal.Signals) else f"status {status}"
        return crashed(name)

    def _read(self, size: int, deadline: float) -> bytes:
        got = bytearray()
        while len(got) < size:
            self._wait(self._from, select.POLLIN, deadline)
            try:
                piece = os.read(self._from, min(size - len(got), _PIECE))
            except BlockingIOError:
                continue
            if not piece:
                raise ChildDied
            got += piece
        return bytes(got)

    def _wait(self, fd: int, event: int, deadline: float) -> None:
        left = deadline - time.monotonic()
        poll = select.poll()
        poll.register(fd, event)
        if left <= 0 or not poll.poll(left * 1000):
            raise ChildTimeout


def child_command(task: str, options: dict[str, Any]) -> list[str]:
    return [sys.executable, "-P", "-m", "screening.radiographs.child", task, json.dumps(options)]


def crashed(how: str) -> Unscreenable:
    return Unscreenable(
        "crashed",
        f"Decoding this file ended the decoder ({how}). Export it again; if it happens again, tell the operator.",
    )


def took_too_long() -> Unscreenable:
    return Unscreenable(
        "timeout", "Decoding this file took too long and was stopped. Export it again, smaller or uncompressed."
    )


def took_too_much_memory() -> Unscreenable:
    return Unscreenable("memory", "Decoding this file needs more memory than is allowed. Export it in a smaller size.")


def _scrubbed_environment() -> dict[str, str]:
    """Nothing of the parent's environment, which may hold secrets; one thread per child; no files written."""
    return {
        "PATH": os.defpath,
        "PYTHONPATH": str(_SOURCE),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
