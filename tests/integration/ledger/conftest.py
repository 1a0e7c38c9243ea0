"""A ledger that tests fill, on both databases."""

from collections.abc import Iterator

import pytest

from screening.database.engine import Database
from tests.integration.ledger.steps import add_checkpoint
from tests.integration.web.conftest import portal

__all__ = ["ledger", "portal"]


@pytest.fixture
def ledger(database: Database) -> Iterator[Database]:
    with database.write() as session:
        add_checkpoint(session, "one", active=True)
    yield database
