"""Bring a database to the schema of this release, with the migrations that lie beside this package."""

import functools
import time
from importlib.util import find_spec
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from screening.database.engine import Database

VERSION_TABLE = "alembic_version"
ADVISORY_LOCK = 720_261_130
"""The key by which migrating processes find each other on PostgreSQL; any number that nothing else uses."""
WAITS_FOR_A_LOCK_S = 3
TRIES = 10
PAUSE_S = 1.0
"""So that what stood in line behind a try gets through before the next one."""
LOCK_NOT_AVAILABLE = "55P03"
"""PostgreSQL, Appendix A, Error Codes."""


class MigrationError(Exception):
    """The schema could not be brought to this release; the message says what to do."""


def upgrade(url: str, to: str = "head") -> list[str]:
    """Apply every migration that the database lacks, in order: their names. Raises MigrationError.

    to: a revision at which to stop; the database must not be beyond it.
    """
    config = _config()
    script = ScriptDirectory.from_config(config)
    database = Database(url)
    try:
        with database.engine.connect() as connection:
            _wait_for_others(connection)
            before = set(MigrationContext.configure(connection).get_current_heads())
            known = {revision.revision for revision in script.walk_revisions()}
            if before - known:
                raise MigrationError(
                    f"The database has the schema of a newer release ({', '.join(sorted(before - known))}). "
                    "Install that release again, or name another database."
                )
            if to != "head" and to not in known:
                raise MigrationError(f"This release does not know the schema {to}. Install a newer release.")
            wanted = _lineage(script, {to} if to != "head" else set(script.get_heads()))
            present = _lineage(script, before)
            if present - wanted:
                raise MigrationError(f"The database is beyond the schema {to} already. Name an empty database.")
            missing = [r.revision for r in script.walk_revisions() if r.revision in wanted - present]
            # Each migration has a transaction of its own, so none may be open around them.
            connection.commit()
            config.attributes["connection"] = connection
            _apply(connection, config, to)
            return missing[::-1]
    except SQLAlchemyError as error:
        raise MigrationError(
            f"The database cannot be migrated ({_first_line(error)}). Check SCREENING_DATABASE_URL and that it runs."
        ) from error
    finally:
        database.dispose()


def has_newest_schema(database: Database) -> bool:
    """Whether it has exactly the schema of this release. Raises SQLAlchemyError when the database does not answer.

    Asked by readiness checks: it reads one row, and leaves alone Alembic's context, which writes to the log.
    """
    with database.engine.connect() as connection:
        if not inspect(connection).has_table(VERSION_TABLE):
            return False
        present = set(connection.scalars(text(f"SELECT version_num FROM {VERSION_TABLE}")))  # noqa: S608
    return present == _heads()


@functools.cache
def _heads() -> set[str]:
    return set(ScriptDirectory.from_config(_config()).get_heads())


def _wait_for_others(connection: Connection) -> None:
    """One migrates at a time. Then no statement waits long for a lock: all others that want the table would stand in
    line behind it, pages included."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK})
        connection.execute(text(f"SET lock_timeout = '{WAITS_FOR_A_LOCK_S}s'"))


def _apply(connection: Connection, config: Config, to: str) -> None:
    """Raises MigrationError where some transaction keeps a table for too long."""
    for attempt in range(1, TRIES + 1):
        try:
            command.upgrade(config, to)
            connection.commit()
            return
        except OperationalError as error:
            connection.rollback()
            if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                raise
            if attempt == TRIES:
                raise MigrationError(
                    "Another transaction keeps a table that is to be changed. What was migrated so far stays. End long "
                    "exports and backups, then migrate again."
                ) from error
            time.sleep(PAUSE_S)


def _config() -> Config:
    spec = find_spec("migrations")
    if spec is None or spec.origin is None:
        raise MigrationError("The package `migrations` is not installed. Install this project again, as a whole.")
    config = Config()
    config.set_main_option("script_location", str(Path(spec.origin).parent).replace("%", "%%"))
    return config


def _lineage(script: ScriptDirectory, heads: set[str]) -> set[str]:
    """The revisions that a database with these heads has."""
    if not heads:
        return set()
    return {revision.revision for revision in script.iterate_revisions(tuple(heads), "base")}


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
