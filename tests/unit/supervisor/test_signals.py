"""Signals that ask to stop, and those that whoever started the program had it ignore."""

import os
import signal
from collections.abc import Iterator

import pytest

from screening.supervisor.signals import Signals


@pytest.fixture(autouse=True)
def hang_ups() -> Iterator[None]:
    former = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, former)


def test_a_hang_up_stops_and_ends_a_wait() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    with Signals() as signals:
        os.kill(os.getpid(), signal.SIGHUP)
        signals.wait(30)
        assert signals.stop_wanted
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


def test_a_hang_up_that_nohup_has_ignored_stops_nothing() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Signals() as signals:
        os.kill(os.getpid(), signal.SIGHUP)
        assert not signals.stop_wanted
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
