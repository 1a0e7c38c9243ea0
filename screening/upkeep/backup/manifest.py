"""What a backup says of itself; its presence is what makes a backup complete."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from screening.errors import NotFound, Refused

FORMAT = 1
MANIFEST = "manifest.json"
OBJECTS = "objects.jsonl.gz"
POOL = "objects"
ROWS = "rows"
CHUNK_BYTES = 1 << 20


class BackupDamaged(Refused):
    """A part of a backup is not what its manifest says."""


@dataclass(frozen=True)
class Part:
    """One file of a backup: how many lines it holds, and the SHA-256 of its bytes."""

    lines: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    format: int
    made_at: str
    revision: str
    """The schema that the rows have."""
    secret: str
    """Tells whether two installations have the same secret key, and nothing else of it."""
    tables: Mapping[str, Part]
    objects: Part
    objects_bytes: int

    def write(self, folder: Path) -> None:
        (folder / MANIFEST).write_text(json.dumps(asdict(self), indent=2), "utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Raises NotFound where there is none, BackupDamaged or Refused where it is not understood."""
    try:
        document = json.loads((folder / MANIFEST).read_text("utf-8"))
    except FileNotFoundError:
        raise NotFound("no_backup", f"There is no backup in {folder}. Name the folder of `screening backup`.") from None
    except ValueError:
        raise BackupDamaged("damaged_backup", f"{folder / MANIFEST} is damaged. Use an older backup.") from None
    if document.get("format") != FORMAT:
        raise Refused("backup_format", f"The backup has format {document.get('format')}. Restore it by its release.")
    tables = {name: Part(**part) for name, part in document.pop("tables").items()}
    return Manifest(tables=tables, objects=Part(**document.pop("objects")), **document)


def generations(folder: Path) -> list[Path]:
    """Complete backups in this folder, the oldest first."""
    return sorted(path.parent for path in folder.glob(f"*/{MANIFEST}") if not path.parent.name.startswith("."))


def latest(folder: Path) -> Path:
    """The backup that `folder` is, or the latest one in it."""
    found = generations(folder)
    return folder if (folder / MANIFEST).is_file() or not found else found[-1]


def part_of(path: Path, lines: int) -> Part:
    return Part(lines, sha256_of(path))


def check_part(path: Path, part: Part) -> None:
    """Raises BackupDamaged where a file is not the one that was written."""
    if not path.is_file() or sha256_of(path) != part.sha256:
        raise BackupDamaged("damaged_backup", f"{path} is missing or damaged. Use an older backup.")


def sha256_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fingerprint(secret_key: str) -> str:
    return hmac.new(secret_key.encode(), b"screening backup", hashlib.sha256).hexdigest()[:16]
