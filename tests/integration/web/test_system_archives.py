"""The system page tells of every archive what its latest visit did; where it lies is for those who run it."""

from pathlib import Path

import pytest

from screening.accounts import Role
from screening.archives.registry import archive_url, claim_visit, want_visit
from screening.clock import utc_now
from screening.ledger.lease import Lease
from tests.installation import phantom_png
from tests.integration.rescreening.visits import add, put, visit_now
from tests.integration.web.conftest import Portal


def card(portal: Portal, role: Role) -> str:
    page = portal.api(role).get("/system").text
    return page.partition('id="archives"')[2].partition("</section>")[0]


@pytest.fixture
def archive(portal: Portal, tmp_path: Path) -> int:
    put(tmp_path / "ward" / "Doe" / "a.png", phantom_png(1))
    put(tmp_path / "ward" / "note.txt", b"only words")
    return add(portal, archive_url(str(tmp_path / "ward"), portal.system.settings.resolved_storage_url))


def test_without_archives_there_is_no_card(portal: Portal) -> None:
    assert card(portal, "administrator") == ""


def test_the_state_and_counts_of_a_visit_are_told_to_everybody(portal: Portal, archive: int) -> None:
    told = card(portal, "reader")
    assert "not yet" in told
    assert "one begins soon" in told
    visit_now(portal, archive)
    for role in ("reader", "operator", "administrator"):
        told = card(portal, role)
        assert [told.count(f'<td class="num">{number}</td>') for number in (2, 1)] == [1, 2]
        assert "Under way" not in told
    with portal.system.database.write() as session:
        want_visit(session, utc_now(), archive, "tests")
        assert claim_visit(session, utc_now(), Lease.new(utc_now(), 60)) is not None
        want_visit(session, utc_now(), archive, "tests")
    told = card(portal, "reader")
    assert "Under way" in told
    assert "another one follows" in told


def test_where_an_archive_lies_and_what_is_wrong_with_it_are_told_to_those_who_run_it(
    portal: Portal, archive: int, tmp_path: Path
) -> None:
    (tmp_path / "ward" / "Doe" / "fresh.png").write_bytes(b"")
    visit_now(portal, archive)
    for role in ("operator", "administrator"):
        told = card(portal, role)
        assert f"{tmp_path}/ward" in told
        assert "such as Doe/fresh.png; the next visit takes it." in told
    told = card(portal, "reader")
    assert str(tmp_path) not in told
    assert "Doe" not in told
    assert "there is one" in told
