"""Runs migrations: on the connection that the caller hands over, or on the database of the settings."""

from typing import Literal

from alembic import context
from sqlalchemy import Connection

import screening.database.review_tables
import screening.database.schedule_tables
import screening.database.tables  # noqa: F401  the tables, known to the metadata below
from screening.database.base import Base, UtcDateTime
from screening.database.engine import Database
from screening.settings import load_settings


def _render(kind: str, value: object, _context: object) -> str | Literal[False]:
    """Write the column type of moments as what the database sees, so that a migration needs nothing of ours."""
    if kind == "type" and isinstance(value, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_item=_render,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        # One after the other: what one migration locks is free before the next builds its indexes.
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def _run() -> None:
    given = context.config.attributes.get("connection")
    if given is not None:
        _migrate(given)
        return
    database = Database(load_settings().resolved_database_url)
    with database.engine.connect() as connection:
        _migrate(connection)
        connection.commit()
    database.dispose()


_run()
