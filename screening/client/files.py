"""Finding the files to send: folders walked in order, the operating system's own litter left out."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from screening.client.errors import ClientError

_LITTER = {"thumbs.db", "desktop.ini", "ehthumbs.db", "icon\r", "$recycle.bin", "system volume information", "__macosx"}


@dataclass(frozen=True)
class LocalFile:
    path: Path
    name: str
    """What the server is told: the path from the given folder on, with `/`."""


@dataclass(frozen=True)
class Found:
    files: list[LocalFile]
    skipped: int
    """Hidden files and the operating system's litter."""
    problems: list[str]
    """Folders that were left out, each with its reason."""


def find_files(paths: Sequence[Path]) -> Found:
    """Every file of these paths: files as given, folders with all below them, sorted. Raises ClientError.

    A link to a file is followed, a link to a folder is not, because it may lead in a circle.
    """
    files: list[LocalFile] = []
    problems: list[str] = []
    skipped = 0
    for path in paths:
        if path.is_file():
            files.append(LocalFile(path, _portable(path.name)))
        elif path.is_dir():
            # The folder's own name goes with its files, so that two folders' IM0001 can be told apart.
            top = path.resolve().name
            for name, folder_problem in _walk(path):
                if folder_problem is not None:
                    problems.append(folder_problem)
                elif any(_is_litter(part) for part in Path(name).parts):
                    skipped += 1
                else:
                    files.append(LocalFile(path / name, _portable(f"{top}/{name}" if top else name)))
        else:
            raise ClientError(f"There is no file or folder {path}. Check its name.")
    return Found(files, skipped, problems)


def _walk(folder: Path) -> Iterator[tuple[str, str | None]]:
    """(path below `folder`, None) for each file, (path, reason) for each folder that is left out."""
    failed: list[OSError] = []
    for place, folders, names in os.walk(folder, onerror=failed.append):
        folders.sort()
        relative = os.path.relpath(place, folder)
        for name in folders:
            linked = Path(place, name)
            if linked.is_symlink() and not any(_is_litter(part) for part in Path(relative, name).parts):
                yield str(linked), f"{linked}: a link to a folder, which is not followed; name the folder itself"
        for name in sorted(names):
            below = name if relative == "." else f"{relative}/{name}".replace(os.sep, "/")
            if not Path(place, name).is_dir():
                yield below, None
    for error in failed:
        yield str(error.filename), f"{error.filename}: {error.strerror}"


def _is_litter(part: str) -> bool:
    return part.startswith(".") or part.lower() in _LITTER


def _portable(name: str) -> str:
    """A name as Unicode that can be sent, whatever bytes the file system holds."""
    return os.fsencode(name).decode("utf-8", "replace")


def sha256_of(path: Path) -> str:
    """Raises OSError."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
