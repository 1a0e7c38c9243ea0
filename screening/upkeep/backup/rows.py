"""Rows of any table as JSON lines, the same for SQLite and PostgreSQL: moments in ISO 8601 UTC, bytes in base64."""

import base64
import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Column, Connection, DateTime, LargeBinary, MetaData, Table, func, select, text

from screening.database.engine import Database
from screening.database.migrate import VERSION_TABLE

LEFT_OUT = (VERSION_TABLE, "workers", "installation", "portal_sessions")
"""The schema's version and the installation's id stand in the manifest, signs of life mean nothing later, and a restore
signs nobody in."""
AT_ONCE = 1000


@contextmanager
def one_moment(database: Database) -> Iterator[Connection]:
    """A connection that sees the database as it is now, whatever is written meanwhile; nobody is held up by it."""
    with database.engine.connect() as plain:
        connection = plain
        if not database.is_sqlite:
            connection = plain.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        # The moment is that of the first statement, on both kinds of database.
        with connection.begin():
            connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608
            yield connection


def tables_of(connection: Connection) -> list[Table]:
    """The tables that the database really has, each after those that it refers to."""
    metadata = MetaData()
    metadata.reflect(connection)
    return [table for table in metadata.sorted_tables if table.name not in LEFT_OUT]


def write_rows(connection: Connection, table: Table, path: Path) -> int:
    """Write every row of a table; returns how many there were."""
    count = 0
    rows = connection.execution_options(yield_per=AT_ONCE).execute(select(table).order_by(*table.primary_key.columns))
    with gzip.open(path, "wt", compresslevel=3, encoding="utf-8") as stream:
        for row in rows.mappings():
            stream.write(json.dumps({name: _encoded(value) for name, value in row.items()}, separators=(",", ":")))
            stream.write("\n")
            count += 1
    return count


def insert_rows(connection: Connection, table: Table, path: Path) -> int:
    """Insert every row of a file into an empty table; returns how many there were."""
    for column in table.columns:
        if isinstance(column.type, JSON):
            column.type.none_as_null = True
    count = 0
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        while lines := list(islice(stream, AT_ONCE)):
            connection.execute(table.insert(), [_decoded(table, json.loads(line)) for line in lines])
            count += len(lines)
    if connection.dialect.name == "postgresql":
        _advance_sequences(connection, table)
    return count


def _encoded(value: Any) -> Any:
    if isinstance(value, datetime):
        return (value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)).isoformat()
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _decoded(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    return {name: _value(table.columns[name], value) for name, value in row.items()}


def _value(column: Column[Any], value: Any) -> Any:
    if value is None:
        return None
    if isinstance(column.type, DateTime):
        return datetime.fromisoformat(value)
    return base64.b64decode(value) if isinstance(column.type, LargeBinary) else value


def _advance_sequences(connection: Connection, table: Table) -> None:
    """New rows go on after the largest id; rows that bring their id leave a sequence where it was."""
    for column in table.primary_key.columns:
        sequence = connection.scalar(select(func.pg_get_serial_sequence(table.name, column.name)))
        largest = connection.scalar(select(func.max(column))) if sequence else None
        if largest is not None:
            connection.execute(select(func.setval(sequence, largest)))
