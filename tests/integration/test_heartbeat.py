"""Heartbeats: a row while a process lives, none once it signed off, and no waiting for a database that is busy."""

import threading
from pathlib import Path

import pytest
from sqlalchemy import select, text

import worker.heartbeat
from screening.database.tables import Worker
from screening.inference.bundle import Bundle
from tests.installation import Installation, installation
from worker.heartbeat import Heartbeat


def names(made: Installation) -> list[str]:
    with made.system.database.read() as session:
        return list(session.scalars(select(Worker.name)))


def test_a_process_that_stops_does_not_wait_for_a_busy_database(
    tmp_path: Path, sqlite_url: str, redis_url: str, random_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker.heartbeat, "SIGNS_OFF_WITHIN_S", 0.1)
    with installation(tmp_path / "data", sqlite_url, redis_url, random_bundle) as made:
        heartbeat = Heartbeat(made.system, "screen", dict)
        heartbeat.start()
        while heartbeat.name not in names(made):
            pass
        with made.system.database.write() as session:
            session.execute(text("SELECT 1"))  # a transaction begins with its first statement
            stopping = threading.Thread(target=heartbeat.stop)
            stopping.start()
            stopping.join(10)
            assert not stopping.is_alive(), "SQLite lets writers wait for half a minute"
            assert heartbeat.name in names(made)


def test_a_process_signs_off(tmp_path: Path, sqlite_url: str, redis_url: str, random_bundle: Bundle) -> None:
    with installation(tmp_path / "data", sqlite_url, redis_url, random_bundle) as made:
        heartbeat = Heartbeat(made.system, "screen", dict)
        heartbeat.start()
        while heartbeat.name not in names(made):
            pass
        heartbeat.stop()
        assert heartbeat.name not in names(made)
