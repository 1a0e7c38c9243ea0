"""How gunicorn serves the portal: processes, threads and limits, from the settings."""

import os
import sys
from typing import Any

from screening.private_files import OTHERS_NOTHING
from screening.settings import SettingsError, load_settings

try:
    _settings = load_settings()
except SettingsError as error:
    sys.exit(str(error))

bind = f"[{_settings.host}]:{_settings.port}" if ":" in _settings.host else f"{_settings.host}:{_settings.port}"
umask = OTHERS_NOTHING
workers = _settings.web_workers
worker_class = "gthread"
threads = _settings.web_threads
# Each process opens its own database connections and its own wake-up thread; nothing of the kind survives a fork.
preload_app = False
# The heartbeat of a process, not the time for a request: threads may take as long as an upload lasts.
timeout = 60
graceful_timeout = 20
keepalive = 15
# In memory where there is such a folder: a heartbeat on a slow disk would end a healthy process.
_memory = "/dev/shm"  # noqa: S108  gunicorn makes a file of its own there, safely
worker_tmp_dir = _memory if os.access(_memory, os.W_OK) else None
limit_request_line = 8190
limit_request_fields = 64
limit_request_field_size = 8190
# The query of a sign-in link is a secret, so no address is logged.
accesslog = None
errorlog = "-"
loglevel = _settings.log_level.lower()
control_socket_disable = True


def worker_exit(_server: Any, worker: Any) -> None:
    """Send the last wake-ups and close the connections of a process that ends."""
    from web.current import EXTENSION

    app = getattr(worker, "wsgi", None)
    if app is not None:
        app.extensions[EXTENSION].close()
