"""The processes of an installation, and the environment that they share."""

import os
import sys
from collections.abc import Mapping

from screening.settings import Settings, environment_name
from screening.supervisor.folder import DataFolder
from screening.supervisor.orphans import MARK
from screening.supervisor.processes import Program

WEB = "web"
QUEUES = ("prepare", "screen", "upkeep")
BACKGROUND_NICENESS = 10
"""Somebody waits for the portal, nobody for a batch: uploads go first, and screening takes what they leave."""
_KEPT_BYTES = str(32 << 20)
_KEPT_BUFFERS = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def portal_and_workers() -> list[Program]:
    """Web, prepare, screen, upkeep and beat, by the same commands as on many machines."""
    celery = (sys.executable, "-m", "celery", "-A", "worker.app")
    return [
        Program(WEB, (sys.executable, "-m", "gunicorn", "-c", "python:web.gunicorn_conf", "web.wsgi:app")),
        *(
            Program(queue, (*celery, "worker", "-Q", queue, *_worker_options(queue)), niceness=BACKGROUND_NICENESS)
            for queue in QUEUES
        ),
        # Without a pid file: one that a killed beat left behind could keep the next one from starting.
        Program("beat", (*celery, "beat", "-S", "celery.beat:Scheduler", "--pidfile=")),
    ]


def _worker_options(queue: str) -> tuple[str, ...]:
    """One task at a time in one process, and no talk among workers: what they share stands in SQL."""
    return ("--pool", "solo", "-n", f"{queue}@%h", "--without-gossip", "--without-mingle")


def resolved_environment(settings: Settings, folder: DataFolder, redis_url: str, secret_key: str) -> dict[str, str]:
    """Every setting that this installation was given or decided, under the names that `load_settings` reads.

    Commands beside it read them from the data folder: they must not clean up or repair by other rules than it has.
    """
    given = settings.model_dump(mode="json", include=set(settings.model_fields_set))
    if "checkpoint_dir" in given:
        given["checkpoint_dir"] = settings.checkpoint_dir.resolve()
    return {
        **{environment_name(name): str(value) for name, value in given.items()},
        "SCREENING_DATA_DIR": str(folder.path),
        "SCREENING_DATABASE_URL": settings.resolved_database_url,
        "SCREENING_STORAGE_URL": settings.resolved_storage_url,
        "SCREENING_REDIS_URL": redis_url,
        "SCREENING_SECRET_KEY": secret_key,
        "SCREENING_HOST": settings.host,
        "SCREENING_PORT": str(settings.port),
    }


def process_environment(resolved: Mapping[str, str], folder: DataFolder) -> dict[str, str]:
    """What every supervised process gets."""
    environment = {**os.environ, **resolved, MARK: str(folder.path), "PYTHONUNBUFFERED": "1"}
    # The engine has its own setting for threads; a pool per library beside it would only fight over the cores.
    for name in _ONE_THREAD:
        environment.setdefault(name, "1")
    # glibc otherwise keeps an arena for each thread, which doubles the size of a process that decodes pictures.
    environment.setdefault("MALLOC_ARENA_MAX", "2")
    # Buffers of a megabyte come and go with every file. glibc would give each back to the kernel, which then has to
    # clear every page of the next one: half of what taking in a file cost.
    for name in _KEPT_BUFFERS:
        environment.setdefault(name, _KEPT_BYTES)
    return environment
