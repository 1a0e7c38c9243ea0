"""The schema comes from the migrations, matches the tables, and can be taken back."""

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from screening.database.base import Base
from screening.database.engine import Database
from tests.conftest import ROOT


def config() -> Config:
    made = Config()
    made.set_main_option("script_location", str(ROOT / "migrations"))
    return made


def test_migrated_schema_is_what_the_tables_say(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
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
