"""The schema comes from the migrations, matches the tables, and can be taken back."""

import json
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, inspect, text

from screening.clock import utc_now
from screening.database.base import Base
from screening.database.engine import Database
from screening.runs.lifecycle import get_run, list_runs
from screening.runs.progress import progress_of
from screening.runs.receipts import receipts_of
from screening.workers import alive
from screening.worklist import Filters, worklist_page
from tests.integration.alembic_config import config


def test_migrated_schema_is_what_the_tables_say(database: Database) -> None:
    with database.engine.connect() as connection:
        # Only PostgreSQL has trigrams, and not everywhere; the index on them is the migration's own affair.
        opts = {"compare_type": True, "include_object": lambda _object, name, *_: name != "ix_scans_file_name"}
        context = MigrationContext.configure(connection, opts=opts)
        assert compare_metadata(context, Base.metadata) == []


def test_there_is_one_head() -> None:
    assert len(ScriptDirectory.from_config(config()).get_heads()) == 1


def test_every_migration_can_be_taken_back_and_done_again(database: Database) -> None:
    made = config()
    with database.engine.connect() as connection:
        made.attributes["connection"] = connection
        command.downgrade(made, "base")
        assert set(inspect(connection).get_table_names()) <= {"alembic_version"}
        command.upgrade(made, "head")
        connection.commit()
        assert set(Base.metadata.tables) <= set(inspect(connection).get_table_names())


def test_likely_thresholds_of_old_rows_come_from_the_card_or_a_half(database: Database) -> None:
    made = config()
    with database.engine.connect() as connection:
        made.attributes["connection"] = connection
        command.downgrade(made, "20261123_initial")
        cards = {
            "old": {"format": 1, "forms": {"fp32": {}}},
            "new": {"forms": {"fp32": {"likely": {"threshold": 0.4}}}},
        }
        for name, card in cards.items():
            connection.execute(
                text(
                    "INSERT INTO checkpoints (id, name, form, active, rendition_spec, card, registered_at) "
                    "VALUES (:id, :id, 'fp32', false, 's', :card, '2026-11-23')"
                ),
                {"id": name, "card": json.dumps(card)},
            )
        for checkpoint, threshold in (("old", 0.1), ("old", 0.7), ("new", 0.1), ("new", 0.7)):
            connection.execute(
                text(
                    "INSERT INTO operating_point_changes (checkpoint_id, name, threshold, reason, set_by, set_at) "
                    "VALUES (:checkpoint, 'n', :threshold, 'r', 's', '2026-11-23')"
                ),
                {"checkpoint": checkpoint, "threshold": threshold},
            )
        command.upgrade(made, "head")
        # A process of the release before still writes a row as it knows it: flagged there is never called likely.
        connection.execute(
            text(
                "INSERT INTO operating_point_changes (checkpoint_id, name, threshold, reason, set_by, set_at) "
                "VALUES ('old', 'n', 0.2, 'r', 's', '2026-11-23')"
            )
        )
        filled = connection.scalars(text("SELECT likely_threshold FROM operating_point_changes ORDER BY id")).all()
        connection.rollback()
    assert filled == [0.5, 0.7, 0.4, 0.7, 1.0]


def test_scans_that_came_in_place_alone_are_told_from_those_whose_bytes_were_stored(database: Database) -> None:
    now = utc_now().replace(tzinfo=None) if database.is_sqlite else utc_now()
    made = config()
    with database.engine.connect() as connection:
        made.attributes["connection"] = connection
        command.downgrade(made, "20261125_original_removed")
        former = MetaData()
        former.reflect(connection)

        def write(table: str, **values: object) -> None:
            columns = former.tables[table].columns
            times = {name: now for name in ("created_at", "received_at", "queued_at", "visited_for") if name in columns}
            connection.execute(former.tables[table].insert(), {**times, **values})

        write("checkpoints", id="c", name="c", form="f", active=True, rendition_spec="s", card={}, registered_at=now)
        for number, in_place in ((1, True), (2, False)):
            archive = {"url": "u", "cron": "c", "time_zone": "UTC", "visit_wanted": False, "created_by": "x"}
            write("archives", id=number, in_place=in_place, found=0, admitted=0, refused=0, **archive)
        run = {"name": "r", "lane": 1, "state": "complete", "checkpoint_id": "c"}
        for number, actor in enumerate(("archive 1", "archive 2", "anna"), 1):
            write("runs", id=number, created_by=actor, **run)
        container = {"sha256": "z", "file_name": "z", "state": "ready", "lane": 1, "attempts": 1}
        write("containers", id=1, run_id=1, **container)
        came: dict[str, list[tuple[int, int | None]]] = {
            "in place": [(1, None)],
            "and sent": [(1, None), (3, None)],
            "unpacked": [(1, 1)],
            "copied": [(2, None)],
            "and copied": [(1, None), (2, None)],
            "sent": [(3, None)],
        }
        for scan, ways in came.items():
            facts = {"size_bytes": 1, "media_type": "m", "file_name": "n"}
            write("scans", id=scan, sha256=scan, facts={}, **facts)
            for run_id, container_id in ways:
                receipt = {"file_name": "n", "sha256": scan, "size_bytes": 1, "status": "accepted"}
                write("receipts", run_id=run_id, scan_id=scan, container_id=container_id, **receipt)
        command.upgrade(made, "20261130_originals_in_place")
        found = connection.scalars(text("SELECT id FROM scans WHERE original_in_place")).all()
        connection.rollback()
    assert found == ["in place"]


def test_every_migration_only_adds_so_that_the_release_before_works_on_beside_the_new_one(database: Database) -> None:
    """Expand first; what is of no use any more goes in a release after the next, when nobody reads or writes it."""
    made = config()
    newest_last = [revision.revision for revision in ScriptDirectory.from_config(made).walk_revisions()][::-1]
    with database.engine.connect() as connection:
        made.attributes["connection"] = connection
        command.downgrade(made, newest_last[0])
        before = columns(connection)
        for revision in newest_last[1:]:
            command.upgrade(made, revision)
            after = columns(connection)
            for table, former in before.items():
                for name, column in former.items():
                    kept = after[table][name]
                    assert str(kept["type"]) == str(column["type"]), f"{revision} changes {table}.{name}"
                    assert kept["nullable"] or not column["nullable"], f"{revision} asks more of {table}.{name}"
                for name in after[table].keys() - former.keys():
                    added = after[table][name]
                    optional = added["nullable"] or added["default"] is not None
                    assert optional, f"{revision}: the release before cannot write {table} without {name}"
            before = after
        connection.rollback()


def test_new_code_reads_what_the_release_before_writes_before_during_and_after_the_migration(
    database: Database,
) -> None:
    made = config()
    with database.engine.connect() as connection:
        made.attributes["connection"] = connection
        command.downgrade(made, "-1")
        former = MetaData()
        former.reflect(connection)
        write_as_the_release_before(connection, former, 1)
        command.upgrade(made, "head")
        # Its workers are still at work, and know nothing of what was added.
        write_as_the_release_before(connection, former, 2)
        connection.commit()
    with database.read() as session:
        assert [run.id for run in list_runs(session, 10)] == [2, 1]
        for run_id in (1, 2):
            run = get_run(session, run_id)
            assert progress_of(session, utc_now(), run).screened == 1
            assert [receipt.file_name for receipt in receipts_of(session, run_id)] == [f"{run_id}.png"]
            assert [item.file_name for item in worklist_page(session, Filters(run=run_id)).items] == [f"{run_id}.png"]
        assert len(alive(session, utc_now())) == 2


def columns(connection: Connection) -> dict[str, dict[str, Any]]:
    """Every table's columns by name."""
    found = inspect(connection)
    return {table: {c["name"]: c for c in found.get_columns(table)} for table in found.get_table_names()}


def write_as_the_release_before(connection: Connection, former: MetaData, number: int) -> None:
    """A run with one screened scan, by the columns that the schema had then."""
    now = utc_now().replace(tzinfo=None) if connection.dialect.name == "sqlite" else utc_now()
    scan = f"{number}".zfill(32)
    rows: list[tuple[str, dict[str, Any]]] = [
        ("scans", {"id": scan, "sha256": scan * 2, "size_bytes": 9, "media_type": "image/png"}),
        ("renditions", {"scan_id": scan, "spec": "s", "state": "ready", "lane": 1, "queued_at": now, "attempts": 1}),
        ("runs", {"id": number, "name": "r", "lane": 1, "state": "complete", "checkpoint_id": "c", "created_by": "x"}),
        ("jobs", {"id": number, "run_id": number, "scan_id": scan, "state": "screened", "attempts": 1}),
        ("receipts", {"id": number, "run_id": number, "size_bytes": 9, "scan_id": scan, "status": "accepted"}),
        ("predictions", {"id": number, "scan_id": scan, "checkpoint_id": "c", "probability": 0.7, "engine": "e"}),
        ("workers", {"name": f"w{number}", "kind": "screen", "details": {}}),
    ]
    if number == 1:
        facts = {"name": "c", "form": "fp32", "active": True, "rendition_spec": "s", "card": {}}
        point = {"name": "n", "threshold": 0.5, "reason": "r", "set_by": "x"}
        rows.insert(0, ("checkpoints", {"id": "c", **facts}))
        rows.insert(1, ("operating_point_changes", {"id": 1, "checkpoint_id": "c", **point}))
    common = {
        "file_name": f"{number}.png",
        "facts": {},
        "activation_map": b"",
        "worker": "w",
        "sha256": scan * 2,
        **dict.fromkeys(("received_at", "created_at", "registered_at", "activated_at", "set_at"), now),
        **dict.fromkeys(("started_at", "seen_at", "submitted_at", "finished_at"), now),
    }
    for name, values in rows:
        table = former.tables[name]
        needed = {key: value for key, value in common.items() if key in table.columns and key not in values}
        connection.execute(table.insert(), {**needed, **values})
