"""The Celery tasks: shells over plain functions. A message says only that there is work."""

from celery import Celery

from screening.queue import OVERNIGHT_TASK, TASKS, QueueName
from worker.process import WorkerProcess


def register_tasks(app: Celery, process: WorkerProcess) -> None:
    """Give the app its tasks, which work with what this process has open."""

    @app.task(name=TASKS[QueueName.PREPARE])
    def prepare() -> None:
        process.prepare()

    @app.task(name=TASKS[QueueName.SCREEN])
    def screen() -> None:
        process.screen()

    @app.task(name=TASKS[QueueName.UPKEEP])
    def sweep() -> None:
        process.sweep()

    @app.task(name=OVERNIGHT_TASK)
    def overnight() -> None:
        process.overnight()
