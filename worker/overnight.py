"""Overnight re-screening: on each tick of beat, what schedules have to do is done."""

from screening.queue import QueueName
from screening.rescreening.firing import tick
from screening.system import System


def tick_once(system: System) -> bool:
    """Fire what is due, end what is over, and wake the workers for what was opened. Whether anything was."""
    began = tick(system.database, system.clock())
    if began:
        system.waker.wake(QueueName.PREPARE, QueueName.SCREEN)
    return began
