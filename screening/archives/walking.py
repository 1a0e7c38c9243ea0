"""Walking a folder or a bucket file by file; no list of it is ever in memory."""

import os
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, unquote_to_bytes, urlsplit

from screening.storage import ObjectMissing, StorageError

CHUNK = 1 << 20


@dataclass(frozen=True)
class FoundFile:
    """A file of an archive as it lies there now."""

    path: str
    """Below the folder or prefix, and no other file's; text that a database takes."""
    address: str
    """For `read_address`, which finds it again."""
    size: int
    modified: str
    """Changes whenever the file does: its time in nanoseconds, or a bucket's entity tag."""
    modified_s: float


def walk(url: str, not_read: Callable[[str], None] = lambda _: None) -> Generator[FoundFile, None, None]:
    """Every plain file below `url`, in no particular order; links are not followed. Raises StorageError.

    not_read: called with each path below `url` that may not be looked at; its neighbours are walked all the same.
    Close it when it is left before its end: it holds folders open.
    """
    parts = urlsplit(url)
    if parts.scheme == "file":
        yield from _walk_folder(local_path(parts.path), not_read)
    else:
        yield from _walk_bucket(url)


def read_address(address: str) -> Generator[bytes, None, None]:
    """The bytes of a found file, piece by piece. Raises ObjectMissing where it is gone, else StorageError."""
    parts = urlsplit(address)
    if parts.scheme == "file":
        path = local_path(parts.path)
        try:
            with Path(path).open("rb") as stream:
                while chunk := stream.read(CHUNK):
                    yield chunk
        except (FileNotFoundError, NotADirectoryError):
            raise ObjectMissing(f"{path!r} is not there any more") from None
        except OSError as error:
            raise StorageError(f"{path!r} cannot be read ({error.strerror}); check its rights") from error
        return
    from screening.storage.s3 import S3Storage

    storage = S3Storage(parts.netloc, "", *_endpoint_and_region(address))
    with storage.open(unquote(parts.path.removeprefix("/"))) as stream:
        while chunk := stream.read(CHUNK):
            yield chunk


def address_of(path: str) -> str:
    """The URL of a local file or folder, whatever bytes its name is of."""
    return f"file://{quote(os.fsencode(path))}"


def local_path(quoted: str) -> str:
    """The path that a URL of a local file or folder has, whatever bytes it is of."""
    return os.fsdecode(unquote_to_bytes(quoted))


def _as_text(path: str) -> str:
    r"""A path in characters, of which no two are the same: a byte that is no UTF-8 becomes `\xfc`.

    A backslash that would look like the beginning of one becomes `\x5c`.
    """
    return os.fsencode(path).replace(rb"\x", rb"\x5cx").decode("utf-8", "backslashreplace")


def _walk_folder(folder: str, not_read: Callable[[str], None]) -> Iterator[FoundFile]:
    try:
        open_folders = [(folder, os.scandir(folder))]
    except OSError as error:
        raise _unreadable(folder, error) from error
    try:
        while open_folders:
            here, entries = open_folders[-1]
            path = here
            try:
                entry = next(entries, None)
                if entry is None:
                    open_folders.pop()
                    entries.close()
                    continue
                path = entry.path
                if entry.is_dir(follow_symlinks=False):
                    open_folders.append((path, os.scandir(path)))
                elif entry.is_file(follow_symlinks=False):
                    facts = entry.stat(follow_symlinks=False)
                    yield FoundFile(
                        path=_as_text(os.path.relpath(path, folder)),
                        address=address_of(path),
                        size=facts.st_size,
                        modified=str(facts.st_mtime_ns),
                        modified_s=facts.st_mtime,
                    )
            except (FileNotFoundError, NotADirectoryError):
                continue  # It went away meanwhile.
            except OSError as error:
                if path == folder:
                    raise _unreadable(folder, error) from error
                not_read(_as_text(os.path.relpath(path, folder)))
    finally:
        for _, each in open_folders:
            each.close()


def _unreadable(folder: str, error: OSError) -> StorageError:
    return StorageError(f"the folder {_as_text(folder)} cannot be read ({error.strerror}); check that it is there")


def _walk_bucket(url: str) -> Iterator[FoundFile]:
    from botocore.exceptions import BotoCoreError, ClientError

    parts = urlsplit(url)
    prefix = unquote(parts.path.strip("/"))
    prefix = f"{prefix}/" if prefix else ""
    query = f"?{parts.query}" if parts.query else ""
    try:
        pages = _client(url).get_paginator("list_objects_v2").paginate(Bucket=parts.netloc, Prefix=prefix)
        for page in pages:
            for item in page.get("Contents", ()):
                yield FoundFile(
                    path=item["Key"].removeprefix(prefix),
                    address=f"s3://{parts.netloc}/{quote(item['Key'])}{query}",
                    size=item["Size"],
                    modified=item["ETag"].strip('"')[:80],
                    modified_s=item["LastModified"].timestamp(),
                )
    except (BotoCoreError, ClientError) as error:
        raise StorageError(
            f"the bucket {parts.netloc} cannot be listed ({error}); check its name and rights"
        ) from error


def _client(url: str) -> Any:
    import boto3

    endpoint, region = _endpoint_and_region(url)
    return boto3.client("s3", endpoint_url=endpoint, region_name=region)


def _endpoint_and_region(url: str) -> tuple[str | None, str | None]:
    query = parse_qs(urlsplit(url).query)
    return query.get("endpoint", [""])[0] or None, query.get("region", [""])[0] or None
