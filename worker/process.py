"""What one worker process has open, made when its first task of a kind needs it."""

import os
import signal
import threading

import structlog

from screening.cores import usable_cores
from screening.queue import QueueName
from screening.radiographs.limits import MIB, ContainerLimits, DecodeLimits
from screening.system import System
from worker.archives import Visitor
from worker.heartbeat import Heartbeat
from worker.overnight import tick_once
from worker.prepare import Preparer
from worker.screen import Screener
from worker.unpack import Unpacking
from worker.upkeep import Statistics, sweep_once

log = structlog.get_logger()


class WorkerProcess:
    """The state behind the tasks. One task runs at a time (pool `solo`); only `stop` is called from elsewhere."""

    def __init__(self, system: System) -> None:
        self.system = system
        self._stopping = threading.Event()
        self._heartbeat: Heartbeat | None = None
        self._preparer: Preparer | None = None
        self._unpacking: Unpacking | None = None
        self._screener: Screener | None = None
        self._visitor: Visitor | None = None
        self._statistics = Statistics(system.database)

    def start(self, kind: str) -> None:
        """Show signs of life, and make everything ready that work of this kind needs."""
        self._heartbeat = Heartbeat(self.system, kind, self._details)
        self._heartbeat.start()
        if kind == QueueName.SCREEN:
            self._the_screener().warm_up()
            self.system.waker.wake(QueueName.SCREEN)
        elif kind == QueueName.PREPARE:
            self._the_preparer().warm_up()
            self.system.waker.wake(QueueName.PREPARE)

    def prepare(self) -> None:
        # In this order, because a container takes long; meanwhile only scans that are as urgent are prepared.
        prepared_more = self._the_preparer().prepare_slice(self._stopping.is_set)
        unpacked_more = self._the_unpacking().unpack_slice(self._stopping.is_set)
        if prepared_more or unpacked_more:
            self.system.waker.wake(QueueName.PREPARE)

    def screen(self) -> None:
        screener = self._the_screener()
        if screener.screen_slice(self._stopping.is_set):
            self.system.waker.wake(QueueName.SCREEN)
        if screener.needs_new_process:
            log.error("the device failed; this process ends, for a new one to take its place")
            os.kill(os.getpid(), signal.SIGTERM)

    def sweep(self) -> None:
        sweep_once(self.system)
        self._statistics.keep()

    def overnight(self) -> None:
        tick_once(self.system)
        if self._visitor is None:
            self._visitor = Visitor(self.system)
        self._visitor.begin_due()

    def ask_to_stop(self) -> None:
        """Finish what is in hand and take up nothing new."""
        self._stopping.set()

    def close(self) -> None:
        if self._visitor:
            self._visitor.close()
        if self._preparer:
            self._preparer.close()
        if self._screener:
            self._screener.close()
        if self._heartbeat:
            self._heartbeat.stop()
        self.system.close()

    def _details(self) -> dict[str, object]:
        if self._screener:
            return self._screener.details()
        if self._preparer:
            return self._preparer.details()
        return {}

    def _the_preparer(self) -> Preparer:
        if self._preparer is None:
            settings = self.system.settings
            limits = DecodeLimits(
                max_file_bytes=settings.max_file_mb * MIB,
                max_pixels=settings.max_megapixels * 1_000_000,
                memory_bytes=settings.decode_memory_mb * MIB,
                seconds=settings.decode_timeout_s,
            )
            self._preparer = Preparer(self.system, limits, settings.prepare_children or usable_cores())
        return self._preparer

    def _the_unpacking(self) -> Unpacking:
        if self._unpacking is None:
            settings = self.system.settings
            limits = ContainerLimits(
                max_members=settings.max_container_members,
                max_member_bytes=settings.max_file_mb * MIB,
                max_total_bytes=settings.max_container_mb * MIB,
            )
            preparer = self._the_preparer()
            self._unpacking = Unpacking(self.system, limits, preparer.prepare_slice, preparer.children)
        return self._unpacking

    def _the_screener(self) -> Screener:
        if self._screener is None:
            name = self._heartbeat.name if self._heartbeat else "screen"
            self._screener = Screener(self.system, name, self.system.settings.engine_threads or usable_cores())
        return self._screener
