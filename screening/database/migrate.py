"""Bring a database to the schema of this release, with the migrations that lie beside this package."""

import functools
from importlib.util import find_spec
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text
from sqlalchemy.exc import SQLAlchemyError

from screening.database.engine import Database

VERSION_TABLE = "alembic_version"


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
            config.attributes["connection"] = connection
            command.upgrade(config, to)
            connection.commit()
            return missing[::-1]
    except SQLAlchemyError as error:
        raise MigrationError(
            f"The database cannot be migrated ({_first_line(error)}). Check SCREENING_DATABASE_URL and that it runs."
        ) from error
    finally:
        database.dispose()


def is_at_head(url: str) -> bool:
    """Whether the database has exactly the schema of this release. Raises SQLAlchemyError when it does not answer."""
    database = Database(url)
    try:
        return has_newest_schema(database)
    finally:
        database.dispose()


def has_newest_schema(database: Database) -> bool:
    """The same, by connections that are open already. Raises SQLAlchemyError when the database does not answer.

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
