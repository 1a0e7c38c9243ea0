"""Errors of the database end in logs, and what people sent or wrote must not."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from screening.database.engine import Database


def test_an_error_of_the_database_does_not_repeat_values(database: Database) -> None:
    with database.read() as session, pytest.raises(SQLAlchemyError) as caught:
        session.execute(text("SELECT :name FROM no_such_table"), {"name": "mueller-anna.png"})
    assert "no_such_table" in str(caught.value)
    assert "mueller" not in str(caught.value)
