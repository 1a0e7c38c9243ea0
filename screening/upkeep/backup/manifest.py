"""What a backup says of itself; its presence is what makes a backup complete."""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from screening.errors import Conflict, NotFound, Refused

FORMAT = 1
MANIFEST = "manifest.json"
OBJECTS = "objects.jsonl.gz"
POOL = "objects"
DAMAGED = "damaged"
"""Beside the pool: files of it whose bytes are not what they were."""
ROWS = "rows"
CHUNK_BYTES = 1 << 20
_NAME = re.compile(r"\d{8}T\d{6}Z")
"""What a backup is called: its moment. Anything else in the folder is somebody else's."""


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
    installation: str | None = None
    """Whose backup it is; None in those of releases before there were ids."""

    @property
    def owner(self) -> str:
        """As people are told whose it is."""
        return f"installation {self.installation[:8]}" if self.installation else "an installation without an id"

    def is_of(self, installation: str, secret: str) -> bool:
        """Whether this installation made it. One without an id is told by the secret key, where there is one."""
        if self.installation is None:
            return self.secret == secret != fingerprint("")
        return self.installation == installation

    def write(self, folder: Path) -> None:
        (folder / MANIFEST).write_text(json.dumps(asdict(self), indent=2), "utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Raises NotFound where there is none, BackupDamaged or Refused where it is not understood."""
    try:
        document = json.loads((folder / MANIFEST).read_text("utf-8"))
    except FileNotFoundError:
        raise NotFound("no_backup", f"There is no backup in {folder}. Name the folder of `screening backup`.") from None
    except ValueError:
        raise _damaged(folder) from None
    if not isinstance(document, dict):
        raise _damaged(folder)
    if document.get("format") != FORMAT:
        raise Refused("backup_format", f"The backup has format {document.get('format')}. Restore it by its release.")
    try:
        tables = {name: Part(**part) for name, part in document.pop("tables").items()}
        return Manifest(tables=tables, objects=Part(**document.pop("objects")), **document)
    except (KeyError, TypeError, AttributeError):
        raise _damaged(folder) from None


def _damaged(folder: Path) -> BackupDamaged:
    return BackupDamaged("damaged_backup", f"{folder / MANIFEST} is damaged. Use an older backup.")


def generations(folder: Path) -> list[Path]:
    """Complete backups in this folder, the oldest first, by whichever installation."""
    return sorted(path.parent for path in folder.glob(f"*/{MANIFEST}") if _NAME.fullmatch(path.parent.name))


def read_generations(folder: Path) -> dict[Path, Manifest]:
    """The same with their manifests, without those that are not understood."""
    found = {}
    for generation in generations(folder):
        try:
            found[generation] = read_manifest(generation)
        except Refused:
            continue
    return found


def latest(folder: Path) -> Path:
    """The backup that `folder` is, or the latest one in it. Raises Conflict where several installations have some."""
    if (folder / MANIFEST).is_file():
        return folder
    found = generations(folder)
    newest: dict[str, Path] = {}
    manifests = read_generations(folder)
    for generation, manifest in manifests.items():
        newest[manifest.installation or _heir_of(manifest, manifests) or ""] = generation
    if len(newest) > 1:
        each = "; ".join(f"{path.name} is the latest of {manifests[path].owner}" for path in newest.values())
        raise Conflict("several_installations", f"{folder} holds backups of several installations: {each}. Name one.")
    return found[-1] if found else folder


def _heir_of(manifest: Manifest, manifests: Mapping[Path, Manifest]) -> str | None:
    """Who a backup without an id is of: the one installation in this folder that has the same secret key."""
    heirs = {one.installation for one in manifests.values() if one.installation and one.secret == manifest.secret}
    return heirs.pop() if len(heirs) == 1 else None


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
