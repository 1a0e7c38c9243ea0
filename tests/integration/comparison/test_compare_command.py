"""`screening compare` as a person calls it, against a server that listens."""

import csv
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from tests.integration.commands import Answer, screening
from tests.integration.comparison.pairs import AFTER, BEFORE
from tests.integration.ledger.steps import scan_id
from tests.integration.web.conftest import Portal


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One kind of database is enough for what only passes on what the API says."""
    return sqlite_url


@pytest.fixture
def environment(portal: Portal) -> Iterator[dict[str, str]]:
    server = make_server("127.0.0.1", 0, portal.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield {
            "SCREENING_SERVER": f"http://127.0.0.1:{server.port}",
            "SCREENING_TOKEN": portal.tokens["reader"],
        }
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def test_numbers_list_and_export(compared: tuple[str, str], environment: dict[str, str], tmp_path: Path) -> None:
    def compare(*arguments: object) -> Answer:
        return screening("compare", *arguments, environment=environment)

    told = compare(*compared, "--limit", 3)
    assert told.code == 0, told
    assert "10 newly flagged, 10 no longer flagged" in told.out
    lines = [line for line in told.out.splitlines() if ".png" in line]
    assert [line.split()[0].lstrip("+-") for line in lines] == ["0.950", "0.950", "0.850"]
    assert "--csv" in told.err

    file = tmp_path / "changes.csv"
    assert compare(*compared, "--csv", file, "--kind", "newly_flagged").code == 0
    rows = list(csv.DictReader(file.read_text("utf-8").splitlines()))
    assert {row["scan"] for row in rows} == {scan_id(n) for n in BEFORE if BEFORE[n] < 0.5 <= AFTER[n]}
    assert compare(*compared, "--csv", "-").out.count("\n") == len(BEFORE) + 1
    assert compare(*compared, "--json").json()["scans"] == len(BEFORE)

    wrong = compare(compared[0], "nobody", "--csv", tmp_path / "no.csv")
    assert wrong.code == 1
    assert "There is no checkpoint nobody." in wrong.err
    assert [path.name for path in tmp_path.glob("*.csv*")] == ["changes.csv"]
    wrong = compare(*compared, "--csv", tmp_path / "nowhere" / "no.csv")
    assert (wrong.code, "cannot be written" in wrong.err) == (1, True)
    assert compare(*compared, "--moved", 2).code == 2
