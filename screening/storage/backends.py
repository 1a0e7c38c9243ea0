"""The choice between a local folder and S3, by URL."""

import os
from urllib.parse import parse_qs, unquote_to_bytes, urlsplit

from screening.storage.objects import Storage, StorageError


def open_storage(url: str) -> Storage:
    """Open `file:///folder` or `s3://bucket/prefix?endpoint=http://host:port&region=eu-central-1`.

    The path of a folder is quoted, as in every URL: `%23` for `#`. S3 credentials come from the usual AWS variables or
    files. Raises StorageError when the URL is not understood.
    """
    parts = urlsplit(url)
    if parts.scheme == "file":
        from screening.storage.folder import FolderStorage

        return FolderStorage(os.fsdecode(unquote_to_bytes(parts.path)))
    if parts.scheme == "s3" and parts.netloc:
        from screening.storage.s3 import S3Storage

        query = parse_qs(parts.query)
        return S3Storage(
            bucket=parts.netloc,
            prefix=parts.path.strip("/"),
            endpoint=query.get("endpoint", [""])[0] or None,
            region=query.get("region", [""])[0] or None,
        )
    raise StorageError(f"storage URL {url!r} is not understood; use file:///folder or s3://bucket/prefix")
