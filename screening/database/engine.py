"""Engine and transactions for SQLite (WAL) and PostgreSQL, alike for every caller.

Both engines hide parameters: errors of statements end in logs, and file names, comments and password hashes must not.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url, text
from sqlalchemy.orm import Session

SQLITE_BUSY_TIMEOUT_S = 30
SERVER_IS_DEAD = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""When a server that says nothing counts as gone: seconds, and milliseconds for `tcp_user_timeout` (libpq, 34.1.2
Parameter Key Words). Left to the system a connection into the void waits two hours, and a process with it."""
IDLE_IN_TRANSACTION_S = 60
"""After this the server ends a transaction that nobody goes on with: of a frozen process, say, whose locks would keep
others from work for as long as its machine stands still."""
_WRITES = "screening_writes"


class Database:
    """Opens transactions. Two kinds, because SQLite must know at the start that a transaction will write.

    A write transaction begins with BEGIN IMMEDIATE on SQLite: it waits its turn there, instead of failing later when
    two readers both want to write.
    """

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.is_sqlite and self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
        self.engine = _sqlite_engine(url) if self.is_sqlite else _server_engine(self.url)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A read-only view at one moment; nothing written in it is kept."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction: committed at the end, rolled back whole on any exception. Never held across I/O."""
        writer = self.engine.execution_options(**{_WRITES: True})
        with Session(writer, expire_on_commit=False) as session, session.begin():
            yield session

    def ping(self) -> None:
        """Raises sqlalchemy.exc.SQLAlchemyError when the database does not answer."""
        with self.engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    def renew_statistics(self) -> None:
        """Have SQLite look at its tables, as PostgreSQL does by itself: what it plans by; a matter of milliseconds.
        Source: SQLite, ANALYZE, "Approximate ANALYZE For Large Databases"."""
        if self.is_sqlite:
            with self.write() as session:
                session.execute(text("PRAGMA analysis_limit = 1000"))
                session.execute(text("ANALYZE"))

    def dispose(self) -> None:
        """Close every pooled connection; a forked child calls this before its first statement."""
        self.engine.dispose()


def _server_engine(url: URL) -> Engine:
    """PostgreSQL. What the address itself says of these times holds."""
    given = {name: value for name, value in SERVER_IS_DEAD.items() if name not in url.query}
    engine = create_engine(url, pool_pre_ping=True, connect_args=given, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_IN_TRANSACTION_S}s'")
        connection.commit()

    return engine


def _sqlite_engine(url: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_S}, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        # The driver must not begin transactions by itself: `begin` below does, with the kind that is needed.
        connection.isolation_level = None
        cursor = connection.cursor()
        # FULL, because a receipt that was given must survive a power cut.
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"busy_timeout={SQLITE_BUSY_TIMEOUT_S * 1000}",
            "temp_store=MEMORY",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
