"""The main job with real worker processes: files in, ranked predictions out, on SQLite and on PostgreSQL."""

import io
import signal
import zipfile

import pytest
from sqlalchemy import func, select

from screening.database.tables import Job, Prediction, Scan
from screening.inference.bundle import Bundle
from screening.inference.maps import unpack_map
from screening.storage import display_key, rendition_key
from screening.worklist import whole_worklist, worklist_page
from tests.installation import Installation, phantom_png, wait_until


def test_a_run_is_screened_and_ranked(installed: Installation) -> None:
    installed.start_all()
    run = installed.open_run()
    for seed in range(20):
        assert installed.upload(run, f"phantom-{seed}.png", phantom_png(seed)).status == "accepted"
    again = installed.upload(run, "the same under another name.png", phantom_png(0))
    assert again.status == "duplicate"
    assert installed.upload(run, "notes.jpg", b"these are only words").status == "rejected"
    cut = installed.upload(run, "cut.png", phantom_png(99)[:4000])
    assert cut.status == "accepted"
    installed.submit(run)
    progress = installed.wait_complete(run)

    assert (progress.total, progress.screened, progress.rejected, progress.refused) == (22, 21, 1, 1)
    with installed.system.database.read() as session:
        items = list(whole_worklist(session))
        page = worklist_page(session, limit=5)
        assert session.scalar(select(func.count()).select_from(Scan)) == 21
        predictions = session.scalars(select(Prediction)).all()
    assert len(predictions) == 20
    assert items[0].band == "must_look"
    assert items[0].file_name == "cut.png"
    assert "cut off" in (items[0].reason or "")
    probabilities = [item.probability for item in items[1:]]
    assert probabilities == sorted(probabilities, reverse=True)  # type: ignore[type-var]
    assert len(set(probabilities)) > 10
    assert page.next is not None
    for prediction in predictions:
        assert unpack_map(prediction.activation_map).height == 2
        assert installed.system.storage.exists(display_key(prediction.scan_id))


def test_screened_again_costs_no_inference(installed: Installation) -> None:
    installed.start_all()
    first = installed.open_run()
    for seed in range(6):
        installed.upload(first, f"{seed}.png", phantom_png(seed))
    installed.submit(first)
    installed.wait_complete(first)
    with installed.system.database.read() as session:
        before = session.scalars(select(Prediction.created_at).order_by(Prediction.id)).all()
    second = installed.open_run()
    for seed in range(6):
        assert installed.upload(second, f"{seed}.png", phantom_png(seed)).status == "duplicate"
    installed.submit(second)
    assert installed.wait_complete(second, 10).screened == 6
    with installed.system.database.read() as session:
        assert session.scalars(select(Prediction.created_at).order_by(Prediction.id)).all() == before


def test_members_of_a_container_are_screened_each_with_a_receipt(installed: Installation) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for seed in range(4):
            archive.writestr(f"Ward 7/φ-{seed}.png", phantom_png(seed))
        archive.writestr("../../outside.png", phantom_png(50))
        archive.writestr("readme.txt", "only words")
    installed.start_all()
    run = installed.open_run()
    assert installed.upload(run, "ward.zip", stream.getvalue()).status == "accepted"
    installed.submit(run)
    progress = installed.wait_complete(run)
    assert progress.screened == 4
    assert progress.refused == 2
    with installed.system.database.read() as session:
        names = set(session.scalars(select(Job.file_name)))
    assert "ward.zip/Ward 7/φ-3.png" in names


def test_renditions_that_came_to_harm_are_made_again(installed: Installation, random_bundle: Bundle) -> None:
    run = installed.open_run()
    for seed in range(4):
        installed.upload(run, f"{seed}.png", phantom_png(seed))
    installed.submit(run)
    installed.start("prepare")
    wait_until(lambda: installed.progress(run).queued == 4, 60, "the renditions are ready")
    with installed.system.database.read() as session:
        scans = session.scalars(select(Scan.id).order_by(Scan.id)).all()
    lost, cut_short, overwritten, _ = (rendition_key(scan, random_bundle.rendition.hash) for scan in scans)
    storage = installed.system.storage
    storage.delete(lost)
    storage.put(cut_short, storage.get(cut_short)[:200])
    storage.put(overwritten, b"something else")
    installed.start("screen")
    installed.start("upkeep")
    installed.start("beat")
    assert installed.wait_complete(run).screened == 4


@pytest.mark.parametrize("victim", ["screen", "prepare"])
def test_a_killed_worker_loses_nothing(installed: Installation, victim: str) -> None:
    installed.start_all()
    run = installed.open_run()
    for seed in range(60):
        installed.upload(run, f"{seed}.png", phantom_png(seed))
    installed.submit(run)
    wait_until(lambda: installed.progress(run).screened > 0, 60, "screening has begun")
    installed.processes[victim].send_signal(signal.SIGKILL)
    installed.processes[victim].wait()
    installed.start(victim)
    assert installed.wait_complete(run).screened == 60
    with installed.system.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Prediction)) == 60
