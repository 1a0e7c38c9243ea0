"""Signals that ask to stop, and those that whoever started the program had it ignore."""

import signal
import subprocess
import sys

import pytest

# A process of its own: a signal that is not heeded would end the one that runs the tests.
PROGRAM = """
import signal, sys
from screening.supervisor.signals import Signals
former = getattr(signal, sys.argv[1])
signal.signal(signal.SIGHUP, former)
with Signals() as signals:
    print("ready", flush=True)
    signals.wait(float(sys.argv[2]))
    print(signals.stop_wanted)
print(signal.getsignal(signal.SIGHUP) is former)
"""


@pytest.mark.parametrize(("former", "seconds", "stops"), [("SIG_DFL", 30, True), ("SIG_IGN", 0.5, False)])
def test_a_hang_up_ends_a_wait_and_stops_unless_nohup_has_it_ignored(former: str, seconds: float, stops: bool) -> None:
    command = [sys.executable, "-c", PROGRAM, former, str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGHUP)
        told, _ = process.communicate(timeout=20)
    assert told.split() == [str(stops), "True"]
    assert process.returncode == 0
