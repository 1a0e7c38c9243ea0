"""A list, its viewer and the verdict given there are of one checkpoint: that of the run, or else the one in use."""

import html
import re
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from screening import checkpoints
from screening.database.tables import Checkpoint, Job, Prediction, Scan
from tests.bundles import make_random_bundle
from tests.installation import phantom_png
from tests.integration.web.conftest import Portal
from tests.integration.web.screened import screen_everything, screened_run
from tests.integration.web.signing_in import sign_in

FORMER, LATER = {"a.png": 0.97, "b.png": 0.05}, {"a.png": 0.05, "b.png": 0.6}


def activate_another(portal: Portal, folder: Path, seed: int, name: str) -> None:
    """Put another checkpoint in use, under this name."""
    system, bundle = portal.system, make_random_bundle(folder, seed=seed)
    made, _ = checkpoints.register(system.database, system.storage, system.clock(), bundle, "fp32", "tests")
    with system.database.write() as session:
        session.get_one(Checkpoint, made).name = name
        checkpoints.activate(session, system.clock(), made, "tests")


@pytest.fixture
def runs(portal: Portal, tmp_path: Path) -> tuple[int, int]:
    """(a run of the former checkpoint, a run of the one in use); they do not agree about the same two scans."""
    former = screened_run(portal, FORMER)
    activate_another(portal, tmp_path / "second", 5, "second-net")
    return former, screened_run(portal, LATER)


def scan_of(portal: Portal, run: int, name: str) -> str:
    items = portal.api("reader").get(f"/api/v1/worklist?run={run}").get_json()["items"]
    return str(next(item["scan"] for item in items if item["file_name"] == name))


def checkpoint_of(portal: Portal, run: int) -> str:
    return str(portal.api("reader").get(f"/api/v1/worklist?run={run}").get_json()["operating_point"]["checkpoint"])


@pytest.mark.parametrize(("place", "probability", "word"), [(0, "0.970", "Likely"), (1, "0.050", "Not flagged")])
def test_the_viewer_says_what_the_list_says_and_keeps_the_verdict_there(
    portal: Portal, runs: tuple[int, int], place: int, probability: str, word: str
) -> None:
    run = runs[place]
    scan, checkpoint = scan_of(portal, run, "a.png"), checkpoint_of(portal, run)
    browser, csrf = sign_in(portal, "reader")
    listed = html.unescape(browser.get(f"/worklist?run={run}").text)
    assert f"/scans/{scan}/heatmap.png?checkpoint={checkpoint}" in listed
    page = html.unescape(browser.get(f"/scans/{scan}?run={run}").text)
    verdict = page[page.index('id="verdict"') : page.index('id="reviews"')]
    assert f">{probability}</p>" in verdict
    assert f"</svg>{word}</span>" in verdict
    assert f"/scans/{scan}/heatmap.png?checkpoint={checkpoint}" in page
    shown = re.search(r'name="checkpoint" value="([^"]*)"', page)
    assert shown
    given = {"verdict": "fracture", "checkpoint": shown[1], "csrf_token": csrf}
    assert browser.post(f"/scans/{scan}/reviews?run={run}", data=given).status_code == 302
    [kept] = portal.api("reader").get(f"/api/v1/scans/{scan}/reviews").get_json()["items"]
    assert (kept["checkpoint"], kept["probability"]) == (checkpoint, float(probability))
    # The run's own page opens its scans in the run's list, too.
    assert (
        f'href="/scans/{scan_of(portal, run, "b.png" if place else "a.png")}?run={run}"'
        in browser.get(f"/runs/{run}").text
    )


def test_a_list_of_another_checkpoint_than_the_one_in_use_names_it(portal: Portal, runs: tuple[int, int]) -> None:
    browser, _ = sign_in(portal, "reader")
    former, later = (browser.get(f"/worklist?run={run}").text for run in runs)
    assert "By <bdi>random-64</bdi> fp32, which is not in use." in former
    assert "not in use" not in later
    assert "not in use" not in browser.get("/worklist").text
    scan = scan_of(portal, runs[0], "a.png")
    assert "by <bdi>random-64</bdi> fp32, which is not in use" in browser.get(f"/scans/{scan}?run={runs[0]}").text
    assert "not in use" not in browser.get(f"/scans/{scan}").text


def test_what_the_lists_checkpoint_could_not_screen_opens_as_must_look_and_is_decided_as_such(
    portal: Portal, runs: tuple[int, int]
) -> None:
    former, later = runs
    scan = scan_of(portal, later, "a.png")
    with portal.system.database.write() as session:
        session.execute(
            update(Job)
            .where(Job.run_id == later, Job.scan_id == scan)
            .values(state="failed", problem_code="poison", problem="Set aside after five tries.")
        )
        session.execute(
            delete(Prediction).where(
                Prediction.scan_id == scan, Prediction.checkpoint_id == checkpoint_of(portal, later)
            )
        )
    browser, _ = sign_in(portal, "reader")
    for query in ("", f"?run={later}"):
        page = html.unescape(browser.get(f"/scans/{scan}{query}").text)
        rail = page[page.index('aria-label="What is known"') :]
        assert "</svg>Must look</span>" in rail[: rail.index('id="reviews"')]
        assert "Set aside after five tries." in rail[: rail.index('id="reviews"')]
        assert 'id="verdict"' not in page
        assert 'name="checkpoint" value=""' in page
        # What the other one said is told, and as another's.
        assert "0.97" in rail[rail.index("Other checkpoints") :]
    page = html.unescape(browser.get(f"/scans/{scan}?run={former}").text)
    assert ">0.970</p>" in page
    # The reason stands beside the run that it is of.
    assert "Set aside after five tries." in page[page.index(">In runs</h2>") :]
    given = {"verdict": "fracture", "checkpoint": ""}
    kept = portal.api("reader").post(f"/api/v1/scans/{scan}/reviews", given).get_json()
    assert (kept["checkpoint"], kept["probability"], kept["sampled"]) == (None, None, False)


def test_a_scan_that_the_checkpoint_in_use_has_not_seen_yet_shows_what_the_latest_said(
    portal: Portal, tmp_path: Path, runs: tuple[int, int]
) -> None:
    api = portal.api()
    run = api.open_run()
    [receipt] = api.receipts(run, ("c.png", phantom_png(40)))
    screen_everything(portal.system, {"c.png": 0.9})
    activate_another(portal, tmp_path / "third", 6, "third-net")
    page = html.unescape(sign_in(portal, "reader")[0].get(f"/scans/{receipt['sha256'][:32]}").text)
    assert ">0.900</p>" in page
    assert "by <bdi>second-net</bdi> fp32, which is not in use" in page


def test_the_views_of_a_study_are_those_of_the_lists_checkpoint(portal: Portal, runs: tuple[int, int]) -> None:
    scan, other = (scan_of(portal, runs[0], name) for name in ("a.png", "b.png"))
    with portal.system.database.write() as session:
        session.execute(update(Scan).where(Scan.id.in_([scan, other])).values(study="one visit"))
    browser, _ = sign_in(portal, "reader")
    for run, probability in zip(runs, ("0.05", "0.60"), strict=True):
        page = browser.get(f"/scans/{scan}?run={run}").text
        views = page[page.index(">Same study</h2>") : page.index(">Picture</h2>")].split("Other checkpoints")[0]
        assert f"</span> {probability}" in views
