"""Keeping processes alive: started again whenever they end, stopped in order, never left behind."""

import contextlib
import ctypes
import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from screening.supervisor.logs import LogFile

SETTLED_AFTER_S = 20.0
"""A process that lived this long ended for a new reason."""
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 15.0
FAILURES_TO_TELL = 3
STOP_GRACE_S = 20.0
LAST_GRACE_S = 4.0
_ENDED_FROM_OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM)
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Program:
    """What to run. Programs with `last` are stopped after all others; niceness lets the others go first."""

    name: str
    command: tuple[str, ...]
    last: bool = False
    niceness: int = 0


class Keeper:
    """One program, the process that runs it now, and when it is to be started again."""

    def __init__(self, program: Program, environment: dict[str, str], folder: Path, log: LogFile) -> None:
        self.program = program
        self.log = log
        self.failures = 0
        self._environment = environment
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._due = 0.0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        _prctl()  # Loaded here, because little is safe between fork and exec.
        with self.log.path.open("ab") as stream:
            # A session of its own: Ctrl-C in the terminal reaches the supervisor alone, which then stops all in order.
            self._process = subprocess.Popen(
                self.program.command,
                env=self._environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=functools.partial(_before_program, self.program.niceness),  # noqa: PLW1509  the supervisor has one thread
            )
        self._started = time.monotonic()

    def look_after(self) -> bool:
        """Start the process again when it has ended and its pause is over. Returns whether it ended just now."""
        if self._process is None:
            if time.monotonic() >= self._due:
                self._start_again()
            return False
        code = self._process.poll()
        if code is None:
            return False
        self._end_group()
        self._process = None
        lived = time.monotonic() - self._started
        if lived >= SETTLED_AFTER_S:
            self.failures = 0
        if code in _ENDED_FROM_OUTSIDE and lived >= FIRST_PAUSE_S:
            pause = 0.0
        else:
            # It ends by itself: without growing pauses, starting it again and again would only burn the machine.
            self.failures += 1
            pause = min(FIRST_PAUSE_S * 2.0 ** (self.failures - 1), LONGEST_PAUSE_S)
        self._due = time.monotonic() + pause
        return True

    def _start_again(self) -> None:
        try:
            self.start()
        except OSError:
            # The machine is short of processes or memory; nobody is helped by giving up now.
            self._due = time.monotonic() + LONGEST_PAUSE_S

    @property
    def seconds_to_start(self) -> float:
        return max(0.0, self._due - time.monotonic()) if self._process is None else LONGEST_PAUSE_S

    def ask_to_stop(self) -> None:
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()

    def wait(self, deadline: float) -> None:
        """Wait for the end until the deadline (monotonic seconds), then end it and everything that it started."""
        if self._process is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, deadline - time.monotonic()))
        self._end_group()
        self._process.wait()
        self._process = None

    def _end_group(self) -> None:
        """End what the process left behind in its session, such as a decoding child of a killed worker."""
        if self._process:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)


class Supervisor:
    """Runs programs until `stop`. `on_trouble` is told once of each that ends again and again."""

    def __init__(
        self,
        programs: Sequence[Program],
        environment: dict[str, str],
        folder: Path,
        logs: Path,
        on_trouble: Callable[[Keeper], None],
    ) -> None:
        self.keepers = [Keeper(p, environment, folder, LogFile(logs / f"{p.name}.log")) for p in programs]
        self._on_trouble = on_trouble
        self._told: set[str] = set()

    def start(self) -> None:
        for keeper in self.keepers:
            keeper.start()

    def look_after(self) -> float:
        """Start again what has ended. Returns the seconds after which to look again at the latest."""
        for keeper in self.keepers:
            ended = keeper.look_after()
            keeper.log.rotate()
            name = keeper.program.name
            if ended and keeper.failures >= FAILURES_TO_TELL and name not in self._told:
                self._told.add(name)
                self._on_trouble(keeper)
        return min(keeper.seconds_to_start for keeper in self.keepers)

    def stop(self) -> None:
        """Ask all to end, those marked `last` after the others, and end what does not; at most 25 seconds."""
        for last, grace in ((False, STOP_GRACE_S), (True, LAST_GRACE_S)):
            group = [keeper for keeper in self.keepers if keeper.program.last == last]
            for keeper in group:
                keeper.ask_to_stop()
            deadline = time.monotonic() + grace
            for keeper in group:
                keeper.wait(deadline)


@functools.cache
def _prctl() -> Callable[..., int] | None:
    if not sys.platform.startswith("linux"):
        return None
    function: Callable[..., int] = ctypes.CDLL(None).prctl
    return function


def _before_program(niceness: int) -> None:
    """In the child, before it runs its program: set its niceness, and have the kernel end it with us (Linux)."""
    if niceness:
        os.nice(niceness)
        # Where Linux groups processes by session, niceness counts within a session only; the session has its own.
        with contextlib.suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(niceness), "ascii")
    prctl = _prctl()
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
