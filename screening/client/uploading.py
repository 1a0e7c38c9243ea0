"""Sending files to a run: only what the server lacks, several at once, with a receipt for each."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO, TypeVar

from screening.client.errors import ClientError
from screening.client.files import LocalFile, sha256_of
from screening.client.http import CONNECTIONS, Connection

T = TypeVar("T")
WINDOW = 500
WINDOW_BYTES = 64 * 2**20
"""Files that are hashed and asked for at once: few enough that sending begins soon, and goes on while others are
hashed."""
GROUP_FILES = 16
GROUP_BYTES = 16 * 2**20
"""Small files travel together: with one request for each, waiting for answers would take most of the time."""
HASHING_THREADS = 2
TOO_LARGE = 413


@dataclass(frozen=True)
class FileReceipt:
    """What became of one file: as the server says, or why it was not sent."""

    path: str
    name: str
    sha256: str | None
    status: str
    """accepted, duplicate or rejected"""
    code: str | None = None
    reason: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Hashed:
    file: LocalFile
    sha256: str
    size: int


Note = Callable[[FileReceipt, int], None]
"""Is told of each receipt and of the size of its file in bytes, from any thread."""


class Upload:
    """One upload into one open run. `receipts` fills while it goes on, also when it ends in an error."""

    def __init__(self, connection: Connection, run_id: int, note: Note) -> None:
        self.receipts: list[FileReceipt] = []
        self._connection = connection
        self._path = f"/api/v1/runs/{run_id}"
        self._note = note
        self._lock = threading.Lock()
        self._failed = threading.Event()

    def send(self, files: Sequence[LocalFile]) -> None:
        """Send all files. Raises ClientError where the server cannot be reached or takes no more."""
        sent: set[str] = set()
        copies: list[Hashed] = []
        pending: list[Future[None]] = []
        hashing, sending = ThreadPoolExecutor(HASHING_THREADS), ThreadPoolExecutor(CONNECTIONS)
        try:
            for window in _in_parts(files, _size_of, WINDOW, WINDOW_BYTES):
                missing: list[Hashed] = []
                for hashed in self._not_known([h for h in hashing.map(self._hash, window) if h]):
                    (copies if hashed.sha256 in sent else missing).append(hashed)
                    sent.add(hashed.sha256)
                pending += [sending.submit(self._send_group, group) for group in _groups(missing)]
                if self._failed.is_set():
                    break
            for future in as_completed(pending):
                future.result()
            # A second copy of a picture needs no bytes, once the first one has arrived.
            for group in _groups(self._not_known(copies)):
                self._send_group(group)
        except BaseException:
            self._failed.set()
            raise
        finally:
            # Not waited for: after Ctrl-C nobody wants to see a large file through.
            for pool in (hashing, sending):
                pool.shutdown(wait=False, cancel_futures=True)

    def _hash(self, file: LocalFile) -> Hashed | None:
        try:
            return Hashed(file, sha256_of(file.path), file.path.stat().st_size)
        except OSError as error:
            self._unreadable(file, error)
            return None

    def _not_known(self, files: Sequence[Hashed]) -> list[Hashed]:
        """Admit what the server has already. Returns the files whose bytes it needs."""
        if not files:
            return []
        answer = self._connection.post(f"{self._path}/known", {"sha256": list({h.sha256 for h in files})})
        missing = set(answer["missing"])
        known = [hashed for hashed in files if hashed.sha256 not in missing]
        if known:
            body = [{"name": hashed.file.name, "sha256": hashed.sha256} for hashed in known]
            admitted = self._connection.post(f"{self._path}/admit", {"files": body})
            missing |= set(admitted.get("missing", []))
            told = [hashed for hashed in known if hashed.sha256 not in missing]
            self._take(told, admitted["files"])
        return [hashed for hashed in files if hashed.sha256 in missing]

    def _send_group(self, group: Sequence[Hashed]) -> None:
        if self._failed.is_set():
            return
        readable = [hashed for hashed in group if self._is_readable(hashed.file)]
        if not readable:
            return
        with ExitStack() as open_files:

            def build() -> dict[str, Any]:
                open_files.close()
                return {"files": [self._part(hashed, open_files) for hashed in readable]}

            try:
                answer = self._connection.post_files(f"{self._path}/files", build)
            except OSError as error:
                if len(readable) == 1:
                    self._unreadable(readable[0].file, error)
                else:
                    # One of them went away between two tries; each of the others is sent alone.
                    self._send_singly(readable)
            except ClientError as error:
                if error.status != TOO_LARGE:
                    self._failed.set()
                    raise
                if len(readable) > 1:
                    self._send_singly(readable)
                else:
                    self._reject(readable[0], error.code or "too_large", str(error))
            else:
                self._take(readable, answer["files"])

    def _send_singly(self, group: Sequence[Hashed]) -> None:
        for hashed in group:
            self._send_group([hashed])

    def _part(self, hashed: Hashed, open_files: ExitStack) -> tuple[str, tuple[str, BinaryIO, str]]:
        stream = open_files.enter_context(hashed.file.path.open("rb"))
        return "file", (hashed.file.name, stream, "application/octet-stream")

    def _is_readable(self, file: LocalFile) -> bool:
        try:
            with file.path.open("rb"):
                return True
        except OSError as error:
            self._unreadable(file, error)
            return False

    def _take(self, group: Sequence[Hashed], receipts: Sequence[dict[str, Any]]) -> None:
        """Note the server's receipts, which come in the order of the files."""
        if len(receipts) != len(group):
            raise ClientError(
                f"The server gave {len(receipts)} receipts for {len(group)} files. "
                "Check that it runs the same release as this command, and send the files again."
            )
        for hashed, receipt in zip(group, receipts, strict=True):
            self._add(
                FileReceipt(
                    path=_path_of(hashed.file),
                    name=receipt["name"],
                    sha256=receipt["sha256"],
                    status=receipt["status"],
                    code=receipt.get("code"),
                    reason=receipt.get("reason"),
                ),
                hashed.size,
            )

    def _reject(self, hashed: Hashed, code: str, reason: str) -> None:
        file = hashed.file
        self._add(FileReceipt(_path_of(file), file.name, hashed.sha256, "rejected", code, reason), hashed.size)

    def _unreadable(self, file: LocalFile, error: OSError) -> None:
        reason = f"This computer cannot read the file ({error.strerror}). Check its rights, and send it again."
        self._add(FileReceipt(_path_of(file), file.name, None, "rejected", "unreadable", reason), 0)

    def _add(self, receipt: FileReceipt, size: int) -> None:
        with self._lock:
            self.receipts.append(receipt)
        self._note(receipt, size)


def _path_of(file: LocalFile) -> str:
    return str(file.path).encode("utf-8", "replace").decode()


def _in_parts(items: Iterable[T], size_of: Callable[[T], int], most: int, most_bytes: int) -> Iterator[list[T]]:
    """At most so many together, and so many bytes unless one alone is larger."""
    part: list[T] = []
    size = 0
    for item in items:
        one = size_of(item)
        if part and (len(part) == most or size + one > most_bytes):
            yield part
            part, size = [], 0
        part.append(item)
        size += one
    if part:
        yield part


def _groups(files: Sequence[Hashed]) -> Iterator[list[Hashed]]:
    return _in_parts(files, lambda hashed: hashed.size, GROUP_FILES, GROUP_BYTES)


def _size_of(file: LocalFile) -> int:
    """0 for a file that cannot be asked; it is told when it is read."""
    try:
        return file.path.stat().st_size
    except OSError:
        return 0
