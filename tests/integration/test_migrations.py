"""The schema comes from the migrations, matches the tables, and can be taken back."""

import json

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from screening.database.base import Base
from screening.database.engine import Database
from tests.conftest import ROOT


def config() -> Config:
    made = Config()
    made.set_main_option("script_location", str(ROOT / "migrations"))
    return made


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
