"""Log files of supervised processes: appended to by the process itself, kept small from outside."""

import contextlib
import shutil
from pathlib import Path

LARGEST_LOG = 10 * 2**20
KEPT = 3


class LogFile:
    """`name.log`, with older parts in `name.log.1` to `name.log.3`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rotate(self) -> None:
        """Move the text aside when there is much of it. Never raises OSError: no log is worth the processes.

        Copied and emptied, not renamed, because the process holds the file open (to append: it goes on at the start).
        What cannot be copied, as on a full disk, is let go: room is what helps there.
        """
        with contextlib.suppress(OSError):
            if self.path.stat().st_size < LARGEST_LOG:
                return
            with contextlib.suppress(OSError):
                self._copy_aside()
            with self.path.open("r+b") as stream:
                stream.truncate(0)

    def _copy_aside(self) -> None:
        for number in range(KEPT - 1, 0, -1):
            older = self._part(number)
            if older.exists():
                older.replace(self._part(number + 1))
        try:
            shutil.copyfile(self.path, self._part(1))
        except OSError:
            self._part(1).unlink(missing_ok=True)
            raise

    def last_lines(self, count: int = 12) -> list[str]:
        try:
            with self.path.open("rb") as stream:
                stream.seek(max(0, self.path.stat().st_size - 16_384))
                return stream.read().decode("utf-8", "replace").splitlines()[-count:]
        except FileNotFoundError:
            return []

    def _part(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")
