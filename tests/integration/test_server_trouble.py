"""A PostgreSQL server that says nothing, transactions that nobody goes on with, and clocks that are apart."""

import socket
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from alembic import command
from sqlalchemy import make_url, select, text
from sqlalchemy.exc import OperationalError

from screening.clock import utc_now
from screening.database.engine import IDLE_IN_TRANSACTION_S, SERVER_IS_DEAD, Database
from screening.database.migrate import MigrationError, upgrade
from screening.database.server_clock import ServerClock
from screening.database.tables import Job
from screening.ledger.sweeping import sweep
from tests.integration.alembic_config import config
from tests.integration.ledger.steps import (
    LATER,
    MAX_ATTEMPTS,
    add_checkpoint,
    add_run,
    claim,
    prepare_all,
    record,
    states,
)


@pytest.fixture
def server(postgres_url: str) -> Iterator[Database]:
    opened = Database(postgres_url)
    yield opened
    opened.dispose()


def test_a_server_that_takes_the_connection_and_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        database = Database(f"postgresql+psycopg://someone@127.0.0.1:{port}/screening")
        began = time.monotonic()
        with pytest.raises(OperationalError):
            database.ping()
        # Without a limit it would wait for ever, and this test with it.
        assert time.monotonic() - began < 10 * SERVER_IS_DEAD["connect_timeout"]


def test_what_the_address_says_of_times_holds(postgres_url: str) -> None:
    url = make_url(postgres_url).update_query_dict({"keepalives_idle": "77"})
    database = Database(url.render_as_string(hide_password=False))
    with database.engine.connect() as connection:
        driver = connection.connection.dbapi_connection
        assert driver is not None
        given = driver.info.get_parameters()
    database.dispose()
    assert given["keepalives_idle"] == "77"
    assert given["tcp_user_timeout"] == str(SERVER_IS_DEAD["tcp_user_timeout"])


def test_a_transaction_that_nobody_goes_on_with_is_ended_by_the_server(server: Database) -> None:
    with server.read() as session:
        assert session.scalar(text("SHOW idle_in_transaction_session_timeout")) == f"{IDLE_IN_TRANSACTION_S // 60}min"


def test_a_sweep_leaves_alone_what_a_frozen_process_holds(server: Database) -> None:
    with server.write() as session:
        add_checkpoint(session, "one", active=True)
    run = add_run(server, 8)
    prepare_all(server)
    held, other = claim(server), claim(server)
    assert held is not None
    assert other is not None
    with server.write() as frozen:
        frozen.execute(select(Job).where(Job.lease_token == held.lease.token).with_for_update()).all()
        with server.write() as session:
            session.execute(text("SET LOCAL lock_timeout = '5s'"))
            assert sweep(session, LATER, MAX_ATTEMPTS).jobs == 4
    assert states(server, run) == {"queued": 4, "screening": 4}
    with server.write() as session:
        assert sweep(session, LATER, MAX_ATTEMPTS).jobs == 4


def test_a_machine_whose_clock_is_behind_gives_leases_that_last(server: Database) -> None:
    def behind() -> ServerClock:
        return ServerClock(server, lambda: utc_now() - timedelta(minutes=2))

    clock, true = behind(), ServerClock(server)
    assert abs(clock() - true()) < timedelta(seconds=5)
    with server.write() as session:
        add_checkpoint(session, "one", active=True)
    run = add_run(server, 4)
    prepare_all(server)
    taken = claim(server, now=clock())
    assert taken is not None
    with server.write() as session:
        assert sweep(session, true(), MAX_ATTEMPTS).jobs == 0
    assert record(server, taken, clock()) == 4
    assert states(server, run) == {"screened": 4}


def test_while_the_server_is_away_the_last_comparison_holds(server: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ServerClock(server, lambda: utc_now() - timedelta(minutes=2))
    clock()
    monkeypatch.setattr("screening.database.server_clock.COMPARED_EVERY_S", -1.0)
    away = Database("postgresql+psycopg://someone@127.0.0.1:9/screening")
    monkeypatch.setattr(clock, "_database", away)
    assert abs(clock() - utc_now()) < timedelta(seconds=5)


def test_a_table_in_use_makes_a_migration_fail_in_a_sentence_and_nobody_wait(
    server: Database, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("screening.database.migrate.WAITS_FOR_A_LOCK_S", 0.2)
    monkeypatch.setattr("screening.database.migrate.TRIES", 2)
    monkeypatch.setattr("screening.database.migrate.PAUSE_S", 0.0)
    made = config()
    with server.engine.connect() as connection:
        made.attributes["connection"] = connection
        command.downgrade(made, "20261130_nights")
        connection.commit()
    with server.write() as download:
        download.execute(text("LOCK TABLE receipts IN ROW EXCLUSIVE MODE"))
        with pytest.raises(MigrationError, match="keeps a table"):
            upgrade(postgres_url)
    assert "20261130_receipts" in upgrade(postgres_url)
