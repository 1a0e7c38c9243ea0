"""Log files of supervised processes: appended to by the process itself, kept small from outside."""

import shutil
from pathlib import Path

LARGEST_LOG = 10 * 2**20
KEPT = 3


class LogFile:
    """`name.log`, with older parts in `name.log.1` to `name.log.3`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rotate(self) -> None:
        """Move the text aside when there is much of it.

        Copied and emptied, not renamed, because the process holds the file open (to append: it goes on at the start).
        """
        try:
            if self.path.stat().st_size < LARGEST_LOG:
                return
        except FileNotFoundError:
            return
        for number in range(KEPT - 1, 0, -1):
            older = self._part(number)
            if older.exists():
                older.replace(self._part(number + 1))
        shutil.copyfile(self.path, self._part(1))
        with self.path.open("r+b") as stream:
            stream.truncate(0)

    def last_lines(self, count: int = 12) -> list[str]:
        try:
            with self.path.open("rb") as stream:
                stream.seek(max(0, self.path.stat().st_size - 16_384))
                return stream.read().decode("utf-8", "replace").splitlines()[-count:]
        except FileNotFoundError:
            return []

    def _part(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")
