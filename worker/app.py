"""Composition root of the workers and of beat: `celery -A worker.app worker -Q screen --pool solo`."""

import atexit
import signal
from typing import Any

from celery import signals

from screening.logs import set_up_logs
from screening.private_files import keep_private
from screening.queue import QueueName
from screening.settings import load_settings
from screening.system import open_system
from worker.process import WorkerProcess
from worker.tasks import register_tasks

keep_private()
settings = load_settings()
set_up_logs(settings.log_level)
process = WorkerProcess(open_system(settings))
app = process.system.celery
register_tasks(app, process)


@signals.setup_logging.connect(weak=False)
def _keep_our_logs(**_: Any) -> None:
    """Celery leaves logging alone when something is connected here."""


@signals.worker_ready.connect(weak=False)
def _start(sender: Any, **_: Any) -> None:
    queues = set(sender.app.amqp.queues.consume_from)
    kind = next((str(queue) for queue in QueueName if queue in queues and len(queues) == 1), "worker")
    process.start(kind)


@signals.worker_shutting_down.connect(weak=False)
def _ask_to_stop(**_: Any) -> None:
    process.ask_to_stop()


@signals.worker_shutdown.connect(weak=False)
def _close(**_: Any) -> None:
    process.close()


@signals.beat_init.connect(weak=False)
def _start_beat(sender: Any, **_: Any) -> None:
    process.start("beat")
    # Beat sends no signal when it ends.
    atexit.register(process.close)

    def end(*_: Any) -> None:
        """Beat's own handler closes its connection at once: amid a send that raises an error which hides the stop."""
        sender.stop()
        raise SystemExit

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
