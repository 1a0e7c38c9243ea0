"""INSERT ... ON CONFLICT, which PostgreSQL and SQLite both have and SQLAlchemy spells once for each."""

from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

Insert = postgresql.Insert | sqlite.Insert


def insert_for(dialect: str, table: Any) -> Insert:
    """An INSERT into this table that may be told what to do on a conflict."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def insert_into(session: Session, table: Any) -> Insert:
    """The same, for the database of this session."""
    return insert_for(session.get_bind().dialect.name, table)
