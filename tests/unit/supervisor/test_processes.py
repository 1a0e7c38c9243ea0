"""Keeping processes alive, with real processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from screening.supervisor.orphans import MARK, stop_orphans
from screening.supervisor.processes import FAILURES_TO_TELL, Keeper, Program, Supervisor
from tests.installation import wait_until

SLEEPER = (sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)")
STUBBORN = (
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
)
PARENT = (
    sys.executable,
    "-c",
    "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
    "print('up', flush=True); time.sleep(600)",
)
MakeSupervisor = Callable[..., Supervisor]


@pytest.fixture
def supervise(tmp_path: Path) -> MakeSupervisor:
    def make(*programs: Program, on_trouble: Callable[[Keeper], None] = lambda _: None) -> Supervisor:
        environment = {**os.environ, MARK: str(tmp_path)}
        return Supervisor(programs, environment, tmp_path, tmp_path, on_trouble)

    return make


def look_after_until(supervisor: Supervisor, condition: Callable[[], bool], seconds: float = 15) -> None:
    def looked_after() -> bool:
        supervisor.look_after()
        return condition()

    wait_until(looked_after, seconds, "what the supervisor should bring about")


def has_started(keeper: Keeper, times: int = 1) -> Callable[[], bool]:
    return lambda: keeper.log.last_lines(1000).count("up") >= times


def test_a_killed_process_comes_back_at_once_however_often(supervise: MakeSupervisor) -> None:
    supervisor = supervise(Program("sleeper", SLEEPER))
    keeper = supervisor.keepers[0]
    supervisor.start()
    try:
        for round_number in range(1, 6):
            look_after_until(supervisor, has_started(keeper, round_number))
            time.sleep(0.6)
            former = keeper.pid
            assert former is not None
            os.kill(former, signal.SIGKILL)
            killed = time.monotonic()
            look_after_until(supervisor, lambda former=former: keeper.pid not in (None, former))  # type: ignore[misc]
            assert time.monotonic() - killed < 1.0
        assert keeper.failures == 0
    finally:
        supervisor.stop()


def test_what_ends_by_itself_comes_back_after_growing_pauses_and_is_told_once(supervise: MakeSupervisor) -> None:
    told: list[list[str]] = []
    failing = Program("failing", (sys.executable, "-c", "print('up', flush=True); raise SystemExit('no checkpoint')"))
    supervisor = supervise(failing, on_trouble=lambda keeper: told.append(keeper.log.last_lines()))
    keeper = supervisor.keepers[0]
    supervisor.start()
    try:
        look_after_until(supervisor, lambda: keeper.failures > FAILURES_TO_TELL)
        # Pauses of 0.5, 1 and 2 seconds passed, and one of 4 seconds lies ahead.
        assert supervisor.look_after() > 3
        assert len(told) == 1
        assert "no checkpoint" in told[0]
    finally:
        supervisor.stop()


def test_a_program_that_cannot_be_started_is_an_error_at_first(supervise: MakeSupervisor) -> None:
    with pytest.raises(OSError, match="nothing"):
        supervise(Program("missing", ("/nothing/there",))).start()


def test_children_of_a_killed_process_end_with_it(supervise: MakeSupervisor) -> None:
    supervisor = supervise(Program("parent", PARENT))
    keeper = supervisor.keepers[0]
    supervisor.start()
    try:
        look_after_until(supervisor, has_started(keeper))
        parent = psutil.Process(keeper.pid)
        children = parent.children()
        assert children
        parent.kill()
        look_after_until(supervisor, has_started(keeper, 2))
        assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)
    finally:
        supervisor.stop()


def test_stopping_goes_in_order_and_ends_the_stubborn(
    supervise: MakeSupervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("screening.supervisor.processes.STOP_GRACE_S", 1.0)
    supervisor = supervise(Program("broker", SLEEPER, last=True), Program("stubborn", STUBBORN))
    broker, stubborn = supervisor.keepers
    supervisor.start()
    look_after_until(supervisor, has_started(broker))
    look_after_until(supervisor, has_started(stubborn))
    processes = [psutil.Process(keeper.pid) for keeper in supervisor.keepers]
    began = time.monotonic()
    supervisor.stop()
    assert 1.0 <= time.monotonic() - began < 6
    assert not any(process.is_running() for process in processes)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's death")
def test_a_killed_supervisor_takes_its_processes_along(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from screening.supervisor.processes import Program, Supervisor\n"
        f"p = Path({str(tmp_path)!r})\n"
        f"s = Supervisor([Program('sleeper', {SLEEPER!r})], {{}}, p, p, print)\n"
        "s.start(); print(s.keepers[0].pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as supervisor:
        assert supervisor.stdout is not None
        child = psutil.Process(int(supervisor.stdout.readline()))
        supervisor.kill()
    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 5, "the child ends")


def test_orphans_of_this_folder_alone_are_stopped(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    orphan, neighbour = (
        subprocess.Popen(STUBBORN, env={**os.environ, MARK: str(folder)}, stdout=subprocess.PIPE)
        for folder in (mine, other)
    )
    with orphan, neighbour:
        try:
            for process in (orphan, neighbour):
                assert process.stdout is not None
                assert process.stdout.readline() == b"up\n"
            assert stop_orphans(mine, grace_s=0.5) == 1
            assert not psutil.pid_exists(orphan.pid)
            assert neighbour.poll() is None
            assert stop_orphans(mine, grace_s=0.5) == 0
        finally:
            orphan.kill()
            neighbour.kill()


def test_background_programs_let_the_others_go_first(supervise: MakeSupervisor) -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    supervisor = supervise(Program("portal", SLEEPER), Program("background", SLEEPER, niceness=3))
    supervisor.start()
    try:
        niceness = [os.getpriority(os.PRIO_PROCESS, keeper.pid or 0) for keeper in supervisor.keepers]
        assert niceness == [own, min(own + 3, 19)]
    finally:
        supervisor.stop()
