"""Uploads that find no room are refused before they do damage, with a time to come back."""

from pathlib import Path
from typing import IO, cast

import pytest
from sqlalchemy import update

import web.uploads
from screening.archives.registry import archive_url
from screening.clock import utc_now
from screening.database.engine import Database
from screening.database.states import Lane, WorkState
from screening.database.tables import Rendition, Scan
from screening.errors import Busy, Full
from screening.upkeep.capacity import bytes_kept
from tests.installation import phantom_png
from tests.integration.rescreening.visits import add, put, visit_now
from tests.integration.web.conftest import Portal
from tests.integration.web.limited import limited
from tests.integration.web.screened import screen_everything
from tests.statements import kept_statements
from web.room import watched_body

MIB = 1 << 20


def objects(portal: Portal) -> list[str]:
    return [found.key for folder in ("originals/", "tmp/") for found in portal.system.storage.list(folder)]


def test_a_body_larger_than_the_room_is_refused_whole_with_507(portal: Portal) -> None:
    api = portal.api()
    run = api.open_run()
    limited(portal, quota_bytes=1000)
    answer = api.send(run, ("a.png", phantom_png(1)))
    assert answer.status_code == 507
    assert answer.headers["Retry-After"] == "60"
    assert answer.get_json()["code"] == "storage_full"
    assert "make room" in answer.get_json()["detail"]
    assert objects(portal) == []
    assert api.get(f"/api/v1/runs/{run}/files").get_json()["items"] == []


def test_the_reserve_is_left_free(portal: Portal) -> None:
    free = portal.system.storage.free_bytes()
    assert free is not None
    limited(portal, reserve_bytes=free + 10**12)
    api = portal.api()
    assert api.send(api.open_run(), ("a.png", phantom_png(1))).status_code == 507


def test_originals_count_against_the_quota_until_there_is_none_left(portal: Portal) -> None:
    api = portal.api()
    run = api.open_run()
    picture = phantom_png(1)
    limited(portal, quota_bytes=len(picture) + 2000)
    assert api.send(run, ("a.png", picture)).status_code == 202
    limited(portal, quota_bytes=len(picture) + 2000)
    assert api.send(run, ("b.png", phantom_png(2))).status_code == 507


def test_a_long_queue_answers_429_but_lets_more_urgent_runs_through(portal: Portal) -> None:
    api = portal.api()
    run = api.open_run(lane="routine")
    assert len(api.receipts(run, ("a.png", phantom_png(1)), ("b.png", phantom_png(2)))) == 2
    limited(portal, most_waiting=2)
    answer = api.send(run, ("c.png", phantom_png(3)))
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "15"
    assert answer.get_json()["code"] == "queue_full"
    assert api.send(api.open_run(lane="urgent"), ("c.png", phantom_png(3))).status_code == 202
    screen_everything(portal.system, {})
    limited(portal, most_waiting=2)
    assert api.send(run, ("d.png", phantom_png(4))).status_code == 202


def test_what_waits_is_renditions_and_queued_jobs_of_this_lane_and_those_before(portal: Portal) -> None:
    api = portal.api()
    api.receipts(api.open_run(lane="routine"), ("a.png", phantom_png(1)))
    api.receipts(api.open_run(lane="archive"), ("b.png", phantom_png(2)))
    assert [limited(portal).waiting(lane) for lane in Lane] == [0, 1, 2]
    with portal.system.database.write() as session:
        session.execute(update(Rendition).values(state=WorkState.READY))
    with pytest.raises(Busy):
        limited(portal, most_waiting=0).check(Lane.ROUTINE, 0)


def test_a_disk_that_fills_up_ends_the_upload_and_keeps_what_arrived_whole(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = portal.api()
    run = api.open_run()
    capacity = limited(portal)
    calls = iter([None, None, None])

    def fills_up(size_bytes: int) -> None:
        if next(calls, "full") == "full":
            raise Full("storage_full", "full", 60)

    monkeypatch.setattr(capacity, "check_space", fills_up)
    monkeypatch.setattr(web.uploads, "CHUNK_BYTES", 1 << 18)
    many = [(f"{number}.png", phantom_png(number, (400, 400))) for number in range(9)]
    assert sum(len(data) for _, data in many) > 3 * web.uploads.CHUNK_BYTES
    assert api.send(run, *many).status_code == 507
    kept = [item["name"] for item in api.get(f"/api/v1/runs/{run}/files").get_json()["items"]]
    assert 0 < len(kept) < 9, "admitted, so that nothing lies in storage without a row"
    assert len(objects(portal)) == len(kept)


def test_a_refused_body_is_read_so_that_its_sender_hears_why(portal: Portal, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b"x" * MIB)
    with (tmp_path / "body").open("rb") as body:
        with pytest.raises(Full):
            watched_body(cast(IO[bytes], body), MIB, limited(portal, quota_bytes=10), Lane.ROUTINE)
        assert body.read(1) == b""


def test_metrics_and_the_system_page_tell_room_and_age(portal: Portal) -> None:
    limited(portal, quota_bytes=5 * MIB)
    api = portal.api()
    api.receipts(api.open_run(), ("a.png", phantom_png(1)))
    text = api.get("/metrics").text
    assert "screening_free_bytes" in text
    assert "screening_room_bytes" in text
    assert "screening_originals_bytes" in text
    assert 'screening_setting{name="max_waiting"}' in text
    page = api.get("/system").text
    for words in ("Free space", "Room for uploads", "Longest wait"):
        assert words in page


def test_originals_that_stay_in_their_archive_take_nothing_of_the_quota(portal: Portal, tmp_path: Path) -> None:
    archived, sent = phantom_png(1), phantom_png(2)
    put(tmp_path / "ward" / "a.png", archived)
    put(tmp_path / "ward" / "b.png", sent)
    url = archive_url(str(tmp_path / "ward"), portal.system.settings.resolved_storage_url)
    visit_now(portal, add(portal, url, in_place=True))
    limited(portal, quota_bytes=len(sent) + 2000)
    assert portal.system.capacity.space().kept == 0
    api = portal.api()
    run = api.open_run()
    assert api.send(run, ("b.png", sent)).status_code == 202, "its bytes are stored from here on"
    limited(portal, quota_bytes=len(sent) + 2000)
    assert portal.system.capacity.space().kept == len(sent)
    assert f"{len(sent) / 1000:.0f}" in api.get("/system").text
    assert api.send(run, ("c.png", phantom_png(3))).status_code == 507


def test_a_copy_that_was_removed_and_is_read_in_place_takes_nothing_of_the_quota(
    portal: Portal, tmp_path: Path
) -> None:
    api = portal.api()
    picture = phantom_png(1)
    api.receipts(api.open_run(), ("a.png", picture))
    put(tmp_path / "ward" / "a.png", picture)
    url = archive_url(str(tmp_path / "ward"), portal.system.settings.resolved_storage_url)
    archive = add(portal, url, in_place=True)
    visit_now(portal, archive)
    assert limited(portal, quota_bytes=MIB).space().kept == len(picture), "it is in storage, and in the archive too"
    [key] = objects(portal)
    portal.system.storage.delete(key)
    with portal.system.database.write() as session:
        session.execute(update(Scan).values(original_removed_at=utc_now()))
    assert limited(portal, quota_bytes=MIB).space().kept == 0
    visit_now(portal, archive)
    assert portal.system.storage.get(key) == picture
    assert limited(portal, quota_bytes=MIB).space().kept == 0


def test_what_originals_take_is_added_up_from_an_index_alone(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    with database.read() as session:
        with kept_statements(session.connection()) as statements:
            assert bytes_kept(session) == 0
        [(statement, parameters)] = statements
        plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
    assert "USING COVERING INDEX ix_scans_kept" in str(plan)
    database.dispose()
