"""Reading a study of two views of which one alone is in the queue."""

from sqlalchemy import select, update

from screening import checkpoints
from screening.clock import utc_now
from screening.database.tables import Prediction, Scan
from screening.reviews.sampling import in_sample
from tests.browser.conftest import Live, Watched
from tests.browser.reading import open_at, reviews, scan_id, screened, wait_for_scan


def test_another_view_is_read_on_the_way_and_the_queue_goes_on_where_it_was(live: Live, watched: Watched) -> None:
    system, page = live.installation.system, watched.page
    run = screened(live, "views", range(9100, 9106))
    with system.database.write() as session:
        active = checkpoints.active(session).id
        of_run = select(Scan.id).where(Scan.file_name.in_([f"hand_{seed}.png" for seed in range(9100, 9106)]))
        ranked = session.execute(
            select(Prediction.scan_id, Prediction.probability)
            .where(Prediction.checkpoint_id == active, Prediction.scan_id.in_(of_run))
            .order_by(Prediction.probability.desc())
        ).all()
        assert len(ranked) == 6
        assert not in_sample(ranked[-1].scan_id, system.settings.review_sample_rate)
        # All but the last are flagged; the last is another view of the second one's study.
        former = checkpoints.operating_point(session, active)
        checkpoints.set_operating_point(session, utc_now(), active, ranked[4].probability, 1.0, "a test", "tests")
        study = [ranked[1].scan_id, ranked[5].scan_id]
        session.execute(update(Scan).where(Scan.id.in_(study)).values(study="one visit"))
    page.goto(f"{live.url}/worklist?run={run}&view=to_read")
    scans = page.locator("#work a.open").evaluate_all("links => links.map((link) => link.href)")
    assert [scan_id(scan) for scan in scans] == [row.scan_id for row in ranked[:5]]
    open_at(page, scans[1])
    page.locator(".views a").click()
    view = f"{live.url}/scans/{ranked[5].scan_id}?view=to_read&run={run}&place={ranked[1].scan_id}"
    wait_for_scan(page, view)
    # A verdict about the view leads back to the scan that waits for one, and that one's to the next of the queue.
    page.keyboard.press("u")
    wait_for_scan(page, scans[1])
    assert reviews(live, view) == [("unsure", None)]
    page.keyboard.press("f")
    wait_for_scan(page, scans[2])
    assert reviews(live, scans[1]) == [("fracture", None)]
    # Opened once more, after both are decided, the view leads on in the queue.
    open_at(page, view)
    page.keyboard.press("j")
    wait_for_scan(page, scans[2])
    with system.database.write() as session:
        # The other tests of this session go on with the thresholds that they know.
        was = former.threshold, former.likely_threshold
        checkpoints.set_operating_point(session, utc_now(), active, *was, "the test is over", "tests")
