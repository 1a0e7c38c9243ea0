"""Signals that ask to stop, and those that whoever started the program had it ignore."""

import subprocess
import sys

import pytest

# A process of its own: a signal that is not heeded would end the one that runs the tests.
PROGRAM = """
import os, signal, sys
from screening.supervisor.signals import Signals
former = getattr(signal, sys.argv[1])
signal.signal(signal.SIGHUP, former)
with Signals() as signals:
    os.kill(os.getpid(), signal.SIGHUP)
    signals.wait(float(sys.argv[2]))
    print(signals.stop_wanted, signal.getsignal(signal.SIGHUP) is former)
print(signal.getsignal(signal.SIGHUP) is former)
"""


@pytest.mark.parametrize(("former", "seconds", "stops"), [("SIG_DFL", 30, True), ("SIG_IGN", 0, False)])
def test_a_hang_up_ends_a_wait_and_stops_unless_nohup_has_it_ignored(former: str, seconds: int, stops: bool) -> None:
    command = [sys.executable, "-c", PROGRAM, former, str(seconds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=20)
    assert done.stdout.split() == [str(stops), str(not stops), "True"]
