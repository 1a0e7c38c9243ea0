"""The audit trail keeps what it was told, is told some things once, and is not filled by floods."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DatabaseError

from screening import audit
from screening.database.engine import Database
from screening.database.tables import AuditEvent

NOW = datetime(2026, 11, 30, 12, 20, tzinfo=UTC)


@pytest.mark.parametrize("statement", ["UPDATE audit_events SET actor = 'nobody'", "DELETE FROM audit_events"])
def test_events_are_neither_changed_nor_removed(database: Database, statement: str) -> None:
    with database.write() as session:
        audit.record(session, NOW, "anna", "run.opened", "1")
    with pytest.raises(DatabaseError, match="only ever added"), database.write() as session:
        session.execute(text(statement))
    if not database.is_sqlite:
        with pytest.raises(DatabaseError, match="only ever added"), database.write() as session:
            session.execute(text("TRUNCATE audit_events"))
    with database.read() as session:
        assert session.scalars(select(AuditEvent.actor)).all() == ["anna"]


def test_what_is_told_hourly_is_told_once_for_each_actor_and_subject(database: Database) -> None:
    told = (
        ("anna", "a", NOW),
        ("anna", "a", NOW + timedelta(minutes=39)),
        ("anna", "a", NOW + timedelta(minutes=40)),
        ("anna", "b", NOW),
        ("ben", "a", NOW),
    )
    for actor, scan, moment in told:
        with database.write() as session:
            audit.record_hourly(session, moment, actor, "scan.viewed", scan, {"address": "here"})
    with database.read() as session:
        events = session.execute(select(AuditEvent.actor, AuditEvent.subject, AuditEvent.at).order_by(AuditEvent.id))
        assert [tuple(row) for row in events] == [told[0], *told[2:]]


def test_a_flood_of_failed_sign_ins_does_not_fill_the_trail(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "MOST_FAILURES_PER_HOUR", 50)

    def events() -> list[AuditEvent]:
        with database.read() as session:
            return list(session.scalars(select(AuditEvent).order_by(AuditEvent.id)))

    for _ in range(30):
        with database.write() as session:
            audit.record_failed_sign_in(session, NOW, "192.0.2.1", "anna", "password")
    assert len(events()) == 20
    assert "then" not in events()[18].detail
    assert "no more" in events()[19].detail["then"]
    for number in range(60):
        with database.write() as session:
            audit.record_failed_sign_in(session, NOW, f"192.0.2.{10 + number}", "anna", "password")
    assert len(events()) == 50
    with database.write() as session:
        audit.record_failed_sign_in(session, NOW + timedelta(hours=1), "192.0.2.1", "anna", "password")
    assert len(events()) == 51
