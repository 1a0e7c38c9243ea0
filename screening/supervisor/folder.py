"""The data folder of an installation: who uses it, its secrets, and what other commands may read of it."""

import fcntl
import json
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from screening.private_files import OTHERS_NOTHING, PRIVATE_FILE, PRIVATE_FOLDER
from screening.settings import secret_key_problem
from screening.supervisor.errors import UpError

_MAY_COME_BEFORE = ("secret.key", "run", "logs", "checkpoints", "objects", "screening.db", "tmp", "lost+found")
"""What a data folder may hold before its first start, such as the key of the installation that is restored into it."""


_EVERYBODY = 0o007
"""A folder of another user that is open to a group alone is so on purpose."""


class DataFolder:
    """Paths below one data folder; the folders `run` and `logs` are made by `create`."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()
        self.run = self.path / "run"
        self.logs = self.path / "logs"
        self.secret_key_file = self.path / "secret.key"
        self.token_file = self.path / "operator.token"
        self.environment_file = self.run / "environment.json"

    def create(self) -> None:
        """Make the folder for its owner alone, or close one that is there to others. Raises UpError where that is not
        possible, or not safe because it holds other things."""
        try:
            self.path.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
            self._close_to_others()
            for folder in (self.run, self.logs):
                folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        except OSError as error:
            raise UpError(
                f"The data folder {self.path} cannot be used ({error.strerror}). Name another one with --data."
            ) from error

    def _close_to_others(self) -> None:
        found = self.path.stat()
        mode = stat.S_IMODE(found.st_mode)
        if not mode & OTHERS_NOTHING:
            return
        ours = self.environment_file.is_file() or all(path.name in _MAY_COME_BEFORE for path in self.path.iterdir())
        if ours and found.st_uid == os.getuid():
            self.path.chmod(mode & ~OTHERS_NOTHING)
        elif mode & _EVERYBODY:
            why = "it belongs to another user" if ours else "it holds other things"
            raise UpError(
                f"Every user may look into the data folder {self.path} (mode {mode:04o}), and it is not closed by "
                f"itself because {why}. Call `chmod 700` for it as its owner, or name a new folder with --data."
            )

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder for this process. Raises UpError where another process holds it."""
        descriptor = os.open(self.run / "lock", os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
        with os.fdopen(descriptor, "r+") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = stream.read().strip() or "unknown"
                raise UpError(
                    f"The data folder {self.path} is in use by another `screening up` (process {holder}). "
                    "Stop that one first, or name another folder with --data."
                ) from None
            stream.truncate(0)
            stream.write(str(os.getpid()))
            stream.flush()
            yield

    def secret_key(self) -> str:
        """The installation's secret, made at the first call. Raises UpError for one that can be guessed."""
        if not self.secret_key_file.exists():
            write_private(self.secret_key_file, secrets.token_urlsafe(48))
        secret = self.secret_key_file.read_text("utf-8").strip()
        if not secret:
            raise UpError(f"The file {self.secret_key_file} is empty. Put the secret key back, or remove the file.")
        if problem := secret_key_problem(secret):
            raise UpError(f"The secret key in {self.secret_key_file} {problem}.")
        return secret

    def keep_environment(self, environment: dict[str, str]) -> None:
        """Note the settings of the running processes, for commands that are given this folder."""
        write_private(self.environment_file, json.dumps(environment, indent=2))

    def kept_environment(self) -> dict[str, str]:
        """The settings that the last `up` noted here; empty where none did."""
        try:
            noted: dict[str, str] = json.loads(self.environment_file.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return noted


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read; readers see the old text or the new one, never a part."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    partial.replace(path)
