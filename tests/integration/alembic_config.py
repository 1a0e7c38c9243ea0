"""Alembic for tests that go through the migrations by themselves."""

from alembic.config import Config

from tests.conftest import ROOT


def config() -> Config:
    made = Config()
    made.set_main_option("script_location", str(ROOT / "migrations"))
    return made
