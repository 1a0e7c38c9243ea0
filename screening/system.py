"""What every entry point is made of: database, storage, queue and clock, opened from one set of settings."""

import hashlib
import hmac
from dataclasses import dataclass

from celery import Celery

from screening.archives.references import WithReferences
from screening.clock import Clock, utc_now
from screening.database.engine import Database
from screening.database.server_clock import clock_of
from screening.queue import Waker, make_celery
from screening.settings import Settings, SettingsError
from screening.storage import Storage, open_storage
from screening.upkeep.capacity import Capacity, Limits

MIB = 1 << 20


@dataclass(frozen=True)
class System:
    settings: Settings
    database: Database
    storage: Storage
    celery: Celery
    waker: Waker
    capacity: Capacity
    clock: Clock = utc_now

    def pseudonym(self, identifier: str) -> str:
        """A keyed hash (HMAC-SHA-256, 32 hex digits) that stands for an identifier which must not be kept."""
        return pseudonym_of(self.settings.secret_key.get_secret_value(), identifier)

    def close(self) -> None:
        """Send the last wake-ups and close the connections of this process."""
        self.waker.close()
        self.database.dispose()


def pseudonym_of(secret_key: str, identifier: str) -> str:
    """The same under a given key."""
    return hmac.new(secret_key.encode(), identifier.encode(), hashlib.sha256).hexdigest()[:32]


def open_system(settings: Settings) -> System:
    """Open everything that settings name; nothing is contacted yet. Raises SettingsError or StorageError."""
    if not settings.redis_url:
        raise SettingsError(
            "SCREENING_REDIS_URL: not set. Name a Redis server, or start everything with `screening up`, "
            "which brings its own."
        )
    if not settings.secret_key.get_secret_value():
        raise SettingsError(
            "SCREENING_SECRET_KEY: not set. Set it to 32 or more random characters, the same for every process, "
            "or start everything with `screening up`, which keeps one in the data folder."
        )
    celery = make_celery(settings.redis_url, settings.sweep_every_s)
    database = Database(settings.resolved_database_url)
    storage = WithReferences(open_storage(settings.resolved_storage_url))
    limits = Limits(settings.reserve_mb * MIB, settings.quota_mb * MIB, settings.max_waiting)
    return System(
        settings=settings,
        database=database,
        storage=storage,
        celery=celery,
        waker=Waker(celery),
        capacity=Capacity(database, storage, limits),
        clock=clock_of(database),
    )
