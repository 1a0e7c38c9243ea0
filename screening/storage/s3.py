"""Objects in an S3 bucket, or in any server that speaks its protocol."""

import io
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

import boto3
from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from screening.storage.incoming import IncomingFile
from screening.storage.objects import ObjectMissing, StorageError, StorageFull, StoredObject

_ABSENT = {"404", "NoSuchKey", "NotFound"}
_FULL = {"QuotaExceeded", "BucketQuotaExceeded", "XMinioAdminBucketQuotaExceeded", "XMinioStorageFull"}
"""What Ceph, IBM and MinIO say of a quota that is used up or a full disk; Amazon has neither."""
_INSUFFICIENT_STORAGE = 507


class S3Storage:
    """One bucket, every key below `prefix`. An S3 object appears whole or not at all: nothing temporary is stored."""

    def __init__(self, bucket: str, prefix: str, endpoint: str | None, region: str | None) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        config = Config(connect_timeout=5, read_timeout=60, retries={"max_attempts": 4, "mode": "standard"})
        self._client: Any = boto3.client("s3", endpoint_url=endpoint, region_name=region, config=config)

    def receive(self) -> IncomingFile:
        return IncomingFile(None, self._adopt)

    def _adopt(self, path: Path, key: str) -> None:
        try:
            self._refresh(key)
        except ObjectMissing:
            with self._trouble(key):
                self._client.upload_file(str(path), self._bucket, self._prefix + key)

    def _refresh(self, key: str) -> None:
        """Have an object that is there count as kept at this moment, so that a clean-up that runs now leaves it alone.

        It is copied onto itself, by the server. Raises ObjectMissing.
        """
        full = self._prefix + key
        with self._trouble(key):
            self._client.copy_object(
                Bucket=self._bucket,
                Key=full,
                CopySource={"Bucket": self._bucket, "Key": full},
                MetadataDirective="REPLACE",
            )

    def put(self, key: str, data: bytes) -> None:
        with self._trouble(key):
            self._client.put_object(Bucket=self._bucket, Key=self._prefix + key, Body=data)

    def get(self, key: str) -> bytes:
        with self.open(key) as stream:
            return stream.read()

    def open(self, key: str) -> BinaryIO:
        with self._trouble(key):
            body = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)["Body"]
        return cast(BinaryIO, _Body(body, lambda: self._trouble(key)))

    def exists(self, key: str) -> bool:
        try:
            with self._trouble(key):
                self._client.head_object(Bucket=self._bucket, Key=self._prefix + key)
        except ObjectMissing:
            return False
        return True

    def delete(self, key: str) -> None:
        with self._trouble(key):
            self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)

    def delete_unless_fresh(self, key: str, since: datetime) -> bool:
        try:
            with self._trouble(key):
                found = self._client.head_object(Bucket=self._bucket, Key=self._prefix + key)
        except ObjectMissing:
            return True
        if found["LastModified"] >= since:
            return False
        self.delete(key)
        return True

    def list(self, prefix: str) -> Iterator[StoredObject]:
        with self._trouble(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix + prefix
            )
            for page in pages:
                for found in page.get("Contents", ()):
                    key = found["Key"].removeprefix(self._prefix)
                    yield StoredObject(key, found["Size"], found["LastModified"])

    def free_bytes(self) -> int | None:
        return None

    def keeps_versions(self) -> bool | None:
        try:
            answer = self._client.get_bucket_versioning(Bucket=self._bucket)
        except (BotoCoreError, ClientError, HTTPError):
            # A right of its own, and not every server knows versions.
            return None
        # Where they were suspended, those of before are still there.
        return "Status" in answer

    def ping(self) -> None:
        key = f"tmp/ping-{secrets.token_hex(8)}"
        self.put(key, b"ping")
        self.get(key)
        self.delete(key)

    @contextmanager
    def _trouble(self, key: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            raise self._refusal(key, error) from error
        except Boto3Error as error:
            # Around an upload boto3 puts an error of its own, which has nothing of the answer but its words.
            answer = error.__context__
            raise self._refusal(key, answer) if isinstance(answer, ClientError) else self._silence(error) from error
        except (BotoCoreError, HTTPError) as error:
            raise self._silence(error) from error

    def _refusal(self, key: str, error: ClientError) -> StorageError:
        code = error.response.get("Error", {}).get("Code", "")
        if code in _ABSENT:
            return ObjectMissing(f"the object {key} is not in bucket {self._bucket}")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if code in _FULL or status == _INSUFFICIENT_STORAGE:
            return StorageFull(f"bucket {self._bucket} has no room for {key} ({code}); make some, or raise its quota")
        return StorageError(f"bucket {self._bucket} refused {key} ({code}); check its name and rights")

    def _silence(self, error: Exception) -> StorageError:
        return StorageError(f"bucket {self._bucket} cannot be reached ({error}); check the storage URL")


class _Body(io.BufferedIOBase):
    """The bytes of an object while they come. A connection that ends before they do is trouble of the storage."""

    def __init__(self, body: Any, trouble: Callable[[], AbstractContextManager[None]]) -> None:
        self._body = body
        self._trouble = trouble

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        with self._trouble():
            data: bytes = self._body.read(None if size is None or size < 0 else size)
        return data

    def close(self) -> None:
        self._body.close()
        super().close()
