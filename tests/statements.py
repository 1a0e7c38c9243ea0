"""Statements as a database is given them, for tests and benchmarks that look at plans."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, event


@contextmanager
def kept_statements(connection: Connection) -> Iterator[list[tuple[str, Any]]]:
    """A list that every statement of this connection is added to, with its parameters, while the block lasts."""
    kept: list[tuple[str, Any]] = []

    def keep(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        kept.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", keep)
    try:
        yield kept
    finally:
        event.remove(connection, "before_cursor_execute", keep)
