"""An installation moves from SQLite to PostgreSQL and back by a backup of one that is restored into the other."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from screening.database.base import Base
from screening.database.engine import Database
from screening.database.tables import AuditEvent, Scan, Worker
from screening.rescreening.schedules import Plan, add_schedule, pause_schedule
from screening.reviews.verdicts import record
from screening.runs.lifecycle import open_run, submit_run
from screening.settings import Settings
from screening.storage import open_storage
from screening.system import open_system
from screening.upkeep.backup.making import make_backup
from screening.upkeep.backup.restoring import restore
from tests.installation import SECRET_KEY, phantom_png
from tests.integration.web.client import Api
from tests.integration.web.conftest import Portal
from tests.integration.web.screened import screen_everything
from web import create_app

MOVED_NOT = (Worker.__tablename__, AuditEvent.__tablename__)
"""Signs of life are left behind, and the restore itself is added to the audit trail."""


@pytest.fixture
def other_kind(database_url: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database of the kind that the portal's is not."""
    is_sqlite = database_url.startswith("sqlite")
    database = Database(
        str(request.getfixturevalue("postgres_url")) if is_sqlite else f"sqlite:///{tmp_path}/moved/screening.db"
    )
    yield database
    database.dispose()


def fill(portal: Portal) -> None:
    """Something of everything that the two kinds keep differently: moments, bytes, truth values, JSON, numbers."""
    api, system, now = portal.api(), portal.system, portal.system.clock()
    api.receipts(api.open_run(), ("a.png", phantom_png(1)), ("ü.png", phantom_png(2)), ("note.txt", b"no picture"))
    screen_everything(system, {"a.png": 0.1234567890123456})
    with system.database.write() as session:
        scan = session.scalars(select(Scan.id)).first()
        assert scan is not None
        record(session, now, scan, "reader-1", "fracture", 'distal "radius"\nleft', 1.0)
        paused = add_schedule(session, now, Plan("nightly", "0 22 * * *", "Europe/Zurich", "06:00"), "tests")
        pause_schedule(session, now, paused.id, "tests")
        add_schedule(session, now, Plan("weekly", "0 1 * * 6", "UTC", "05:00"), "tests")


def rows(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table that moves, as the code sees it."""
    with database.read() as session:
        return {
            table.name: [tuple(row) for row in session.execute(select(table).order_by(*table.primary_key.columns))]
            for table in Base.metadata.sorted_tables
            if table.name not in MOVED_NOT
        }


def test_an_installation_moves_to_the_other_kind_of_database(
    portal: Portal, other_kind: Database, redis_url: str, tmp_path: Path
) -> None:
    fill(portal)
    system = portal.system
    make_backup(system.database, system.storage, system.clock(), tmp_path / "backups", "fingerprint", None)
    storage_url = f"file://{tmp_path}/moved/objects"
    restore(tmp_path / "backups", other_kind, open_storage(storage_url), system.clock(), "tests", take_over=True)
    before, after = rows(system.database), rows(other_kind)
    assert {name for name, some in before.items() if some} >= {"scans", "predictions", "reviews", "schedules", "tokens"}
    assert after == before

    moved = open_system(
        Settings(
            data_dir=tmp_path / "moved",
            database_url=other_kind.url.render_as_string(hide_password=False),
            redis_url=redis_url,
            storage_url=storage_url,
            secret_key=SECRET_KEY,  # type: ignore[arg-type]
        )
    )
    try:
        there = Api(create_app(moved).test_client(), {"Authorization": f"Bearer {portal.tokens['reader']}"})
        listed = there.get("/api/v1/worklist").get_json()["items"]
        assert listed == portal.api("reader").get("/api/v1/worklist").get_json()["items"]
        with moved.database.write() as session:
            run = open_run(session, moved.clock() + timedelta(days=1), "after", "routine", "tests")
            assert run.id > 1, "new rows get new ids"
            submit_run(session, moved.clock() + timedelta(days=1), run.id, "tests")
    finally:
        moved.close()
