"""The only reader of the environment: every setting, its default, and the checks made before anything starts."""

import ipaddress
import os
from pathlib import Path
from typing import Literal, Self
from urllib.parse import quote, unquote, urlsplit

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

EngineKind = Literal["auto", "openvino", "torch"]
FormName = Literal["auto", "fp32", "int8"]


PREFIX = "SCREENING_"
SHORTEST_SECRET_KEY = 32


class SettingsError(Exception):
    """Settings that cannot work; the message names each one and says what to do."""


class Settings(BaseSettings):
    """Everything that may differ between two installations. Names in the environment start with SCREENING_."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="ignore")

    data_dir: Path = Path("data")
    database_url: str = ""
    """Default: SQLite in the data folder. PostgreSQL: postgresql+psycopg://user:password@host/database."""
    redis_url: str = ""
    """Default: the bundled Valkey server, which `screening up` starts and names here for the processes it starts."""
    storage_url: str = ""
    """Default: a folder in the data folder. S3: s3://bucket/prefix, for other servers with `?endpoint=URL`."""

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    secret_key: SecretStr = SecretStr("")
    """Signs sessions and hashes study identifiers. `screening up` makes one and keeps it in the data folder."""
    https: bool = False
    """The portal is reached over HTTPS (by a proxy): cookies are then sent over HTTPS only."""
    trusted_proxies: int = Field(default=0, ge=0, le=5)
    """How many proxies stand before the portal, so that client addresses are read from the right header."""
    session_idle_minutes: int = Field(default=60, ge=5, le=1440)
    """A session in the portal ends after so long without anything that its person did; pages that ask by themselves
    do not count."""
    session_hours: int = Field(default=12, ge=1, le=168)
    """A session in the portal ends after so long, whatever is done in it."""
    web_workers: int = Field(default=2, ge=1, le=64)
    web_threads: int = Field(default=8, ge=1, le=64)

    max_file_mb: int = Field(default=200, ge=1, le=4096)
    max_request_mb: int = Field(default=2048, ge=1, le=65536)
    max_megapixels: int = Field(default=100, ge=1, le=2000)
    decode_timeout_s: float = Field(default=30, gt=0, le=600)
    decode_memory_mb: int = Field(default=2048, ge=512, le=65536)
    max_container_members: int = Field(default=20_000, ge=1, le=1_000_000)
    max_container_mb: int = Field(default=20_000, ge=1)

    reserve_mb: int = Field(default=1024, ge=16, le=1_000_000)
    """Free space that uploads leave: for renditions, for the database, and for what arrives within a second."""
    quota_mb: int = Field(default=0, ge=0)
    """So much all originals together may take; 0 for no quota. The only limit of space on S3, which tells none."""
    max_waiting: int = Field(default=500_000, ge=1, le=100_000_000)
    """Uploads wait while so many pictures of their lane, or of a more urgent one, are not screened yet."""

    keep_originals_days: int = Field(default=0, ge=0, le=36_500)
    """`screening clean-up` removes originals that were received longer ago; 0 keeps them for ever."""

    engine: EngineKind = "auto"
    form: FormName = "auto"
    checkpoint_dir: Path = Path(__file__).resolve().parent.parent / "checkpoints"
    """The released bundles that a new installation registers at its first start."""
    batch_size: int = Field(default=32, ge=0, le=1024)
    """Scans in one batch; 0 means as many as suit the device, which is measured once and kept."""
    linger_ms: int = Field(default=50, ge=0, le=10_000)
    """How long a batch that is not full waits for more scans."""
    engine_threads: int = Field(default=0, ge=0, le=256)
    """Threads of the engine; 0 means the cores that this process may use."""
    prepare_children: int = Field(default=0, ge=0, le=256)
    """Decoding children of one prepare worker; 0 means the cores that this process may use."""

    lease_s: float = Field(default=30, gt=0, le=3600)
    max_attempts: int = Field(default=5, ge=1, le=20)
    slice_s: float = Field(default=10, gt=0, le=60)
    """How long one task works before it hands the worker back to Celery."""
    sweep_every_s: float = Field(default=5, gt=0, le=300)

    review_sample_rate: float = Field(default=0.02, ge=0, le=1)
    """The share of scans that are not flagged and are read all the same, to measure sensitivity in use."""
    hold_s: float = Field(default=300, ge=10, le=86_400)
    """How long an opened scan is shown to other readers as taken, after its reader was last seen on it."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        if self.max_request_mb < self.max_file_mb:
            raise ValueError("SCREENING_MAX_REQUEST_MB must not be smaller than SCREENING_MAX_FILE_MB")
        if 0 < self.quota_mb < self.max_file_mb:
            raise ValueError("SCREENING_QUOTA_MB must not be smaller than SCREENING_MAX_FILE_MB, or 0 for no quota")
        if self.slice_s > self.lease_s:
            raise ValueError("SCREENING_SLICE_S must not be longer than SCREENING_LEASE_S")
        if problem := _place_problem(self.database_url, self.storage_url, str(self.data_dir.resolve())):
            raise ValueError(problem)
        if problem := secret_key_problem(self.secret_key.get_secret_value()):
            raise ValueError(f"SCREENING_SECRET_KEY {problem}")
        if not self.secret_key.get_secret_value() and not is_loopback(self.host):
            raise ValueError(
                f"SCREENING_HOST={self.host} is open to other machines, but SCREENING_SECRET_KEY is not set; "
                "set it to 32 or more random characters"
            )
        return self

    @property
    def resolved_database_url(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir.resolve()}/screening.db"

    @property
    def resolved_storage_url(self) -> str:
        return self.storage_url or f"file://{quote(os.fsencode(self.data_dir.resolve()))}/objects"


def secret_key_problem(key: str) -> str | None:
    """What is wrong with a key that is set, as the end of a sentence; a key that is not set is another matter."""
    if not key or len(key) >= SHORTEST_SECRET_KEY:
        return None
    return (
        f"has {len(key)} characters, and who guesses it signs in as anybody. Set it to {SHORTEST_SECRET_KEY} or more "
        "random characters. Everybody then signs in again, and views of a visit that come later do not find those "
        "that came before"
    )


def _place_problem(database_url: str, storage_url: str, folder: str) -> str | None:
    """Which address would lead to another place than it says, or to one that depends on where a process runs."""
    scheme, _, place = database_url.partition("://")
    if scheme.partition("+")[0] == "sqlite" and not place.startswith("//"):
        return (
            f"SCREENING_DATABASE_URL={database_url} does not name its file by the whole path, and each process would "
            "look for it in its own folder; write it with four slashes, as in sqlite:////srv/screening/screening.db"
        )
    if not database_url and ("?" in folder or unquote(folder) != folder):
        return (
            f"SCREENING_DATA_DIR={folder} holds a ? or a % with digits behind it, which the address of its database "
            "cannot; name another folder, or a database with SCREENING_DATABASE_URL"
        )
    storage = urlsplit(storage_url)
    whole = storage.netloc in ("", "localhost") and storage.path.startswith("/")
    if storage.scheme == "file" and (not whole or "?" in storage_url or "#" in storage_url):
        return (
            f"SCREENING_STORAGE_URL={storage_url} names no folder by its whole path; write it with three slashes, as "
            "in file:///srv/screening/objects, and %23 for a # and %3F for a ? in it"
        )
    return None


def is_loopback(host: str) -> bool:
    """Whether a server bound to this host is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def environment_name(setting: str) -> str:
    """The variable that gives this setting."""
    return f"{PREFIX}{setting}".upper()


def load_settings() -> Settings:
    """Read and check the environment. Raises SettingsError with a line for each wrong setting."""
    try:
        return Settings()
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            name = "".join(environment_name(str(part)) for part in problem["loc"][:1])
            message = problem["msg"].removeprefix("Value error, ")
            lines.append(f"{name}: {message}" if name else message)
        raise SettingsError("\n".join(lines)) from error
