"""Every page answers, says the right words, and shows what strangers named without trusting it."""

import html
import re

import pytest
from sqlalchemy import delete, update

from screening.database.tables import Job, Prediction, Scan
from screening.queue import QueueName
from screening.workers import beat
from tests.installation import phantom_png
from tests.integration.web.conftest import Portal
from tests.integration.web.screened import screen_everything, screened_run
from tests.integration.web.signing_in import sign_in

HOSTILE = '\u202e<img src=x onerror=alert(1)>".png'


def filled(portal: Portal) -> int:
    """A submitted run with flagged, unflagged and rejected files, one of them with a hostile name."""
    api = portal.api()
    run = api.open_run("ward <7>")
    api.receipts(run, ("low.png", phantom_png(1)), ("high.png", phantom_png(2)), ("text.jpg", b"text"))
    body = {"name": HOSTILE, "sha256": api.get(f"/api/v1/runs/{run}/files").get_json()["items"][0]["sha256"]}
    api.post(f"/api/v1/runs/{run}/admit", {"files": [body]})
    api.post(f"/api/v1/runs/{run}/submit")
    # The hostile name is a second one of low.png, and is screened with it.
    screen_everything(portal.system, {"low.png": 0.1, HOSTILE: 0.1, "high.png": 0.999})
    return run


def page_of_scan(portal: Portal, probability: float) -> str:
    """The viewer's page of one scan with this probability."""
    api = portal.api()
    run = api.open_run()
    api.receipts(run, ("a.png", phantom_png(11)))
    api.post(f"/api/v1/runs/{run}/submit")
    screen_everything(portal.system, {"a.png": probability})
    [item] = api.get(f"/api/v1/worklist?run={run}").get_json()["items"]
    return str(sign_in(portal, "reader")[0].get(f"/scans/{item['scan']}").text)


@pytest.mark.parametrize(
    ("probability", "word", "meaning"),
    [
        (0.8, "Likely", "Flagged: over the threshold that catches at least 82% of fractures (95% confidence, on the"),
        (0.6, "Possible", "Flagged: over the threshold that catches at least 82% of fractures (95% confidence, on the"),
        (0.2, "Not flagged", "It may still show a fracture."),
    ],
)
def test_the_viewer_says_what_a_band_means(portal: Portal, probability: float, word: str, meaning: str) -> None:
    page = html.unescape(page_of_scan(portal, probability))
    verdict = page[page.index('id="verdict"') : page.index(">Picture</h2>")]
    assert f"</svg>{word}</span>" in verdict
    assert meaning in verdict
    assert f"{probability:.3f} on a scale from 0 to 1: possible from 0.500, likely from 0.750" in verdict
    assert ("but under the likely threshold" in verdict) == (word == "Possible")
    assert ("70% had a fracture" in verdict) == (word == "Likely")


@pytest.mark.parametrize(
    ("shown", "words"),
    [([1024, 1250], "Shown</dt><dd>1024 × 1250, reduced from the original"), ([2048, 2500], ""), (None, "")],
)
def test_the_viewer_says_where_a_picture_is_shown_reduced(portal: Portal, shown: list[int] | None, words: str) -> None:
    page_of_scan(portal, 0.6)
    facts = {"columns": 2048, "rows": 2500, "bits": 12} | ({"display_size": shown} if shown else {})
    with portal.system.database.write() as session:
        scan = session.scalars(update(Scan).values(facts=facts).returning(Scan.id)).one()
    page = html.unescape(sign_in(portal, "reader")[0].get(f"/scans/{scan}").text)
    assert "2048 × 2500, 12 bit" in page
    assert ("reduced from the original" in page) == bool(words)
    assert words in page


def test_the_viewer_calls_a_scan_as_the_chosen_run_does(portal: Portal) -> None:
    api = portal.api()
    first, second = api.open_run(), api.open_run()
    [receipt] = api.receipts(first, ("ward 1/hand.png", phantom_png(1)))
    api.receipts(second, ("ward 2/same hand.png", phantom_png(1)))
    scan = receipt["sha256"][:32]
    for query, name in (("", "1/hand"), (f"?run={first}", "1/hand"), (f"?run={second}", "2/same hand")):
        assert f"<h1><bdi>ward {name}.png</bdi>" in api.get(f"/scans/{scan}{query}").text


def test_the_bands_are_on_every_page_that_counts(portal: Portal) -> None:
    run = filled(portal)
    browser, _ = sign_in(portal, "reader")
    home = browser.get("/").text
    for band in ("must_look", "likely", "possible", "not_flagged"):
        unread = "&amp;reviewed=unreviewed" if band == "must_look" else ""
        assert f'href="/worklist?band={band}{unread}"' in home
        assert browser.get(f"/worklist?run={run}&band={band}").status_code == 200
    status = browser.get(f"/runs/{run}/status").text
    assert "flagged 1" in status
    assert "Likely</span> 1" in status
    assert "Possible</span> 0" in status
    assert "high.png" in browser.get(f"/worklist?run={run}&band=flagged").text
    assert "high.png" not in browser.get(f"/worklist?run={run}&band=possible").text


def test_home_shows_what_is_still_to_be_read(portal: Portal) -> None:
    run = screened_run(portal, {"cut off.png": 0.5, "high.png": 0.9, "low.png": 0.1})
    items = portal.api().get(f"/api/v1/worklist?run={run}").get_json()["items"]
    scans = {item["file_name"]: item["scan"] for item in items}
    with portal.system.database.write() as session:
        of_scan = Job.scan_id == scans["cut off.png"]
        session.execute(update(Job).where(of_scan).values(state="rejected", problem="Cut off at 41%."))
        session.execute(delete(Prediction).where(Prediction.scan_id == scans["cut off.png"]))
    browser, _ = sign_in(portal, "reader")

    def told() -> tuple[list[str], str]:
        """(the scans under "First to read", how many must be looked at)."""
        page = browser.get("/").text
        first = page[page.index("<h2>First to read</h2>") :].split("</section>")[0]
        tile = re.search(r"Must look</span><strong>([^<]+)</strong>", page)
        assert tile
        assert "score" not in first, "as in the queue, what the network said is left out"
        return re.findall(r'href="/scans/([0-9a-f]+)\?view=to_read"', first), tile[1]

    assert told() == ([scans["cut off.png"], scans["high.png"]], "1")
    for name, left in (("cut off.png", [scans["high.png"]]), ("high.png", [])):
        portal.api("reader").post(f"/api/v1/scans/{scans[name]}/reviews", {"verdict": "unsure"})
        assert told() == (left, "0")
    assert "Nothing waits to be read." in browser.get("/").text


def test_the_model_page_states_the_promise_and_only_for_a_measured_threshold(portal: Portal) -> None:
    browser, _ = sign_in(portal, "reader")
    page = browser.get("/model").text
    assert "At least 82% of fractures are flagged, with 95% confidence, on data like this." in page
    assert re.search(r"Likely</th><td[^>]*>0\.750</td><td[^>]*>55%</td><td[^>]*>94%</td><td[^>]*>70%</td>", page)
    api = portal.api("administrator")
    [checkpoint] = api.get("/api/v1/checkpoints").get_json()["items"]
    order = {"threshold": 0.51, "likely_threshold": 0.8, "reason": "a trial"}
    assert api.put(f"/api/v1/checkpoints/{checkpoint['id']}/operating-point", order).status_code == 200
    page = browser.get("/model").text
    assert "nothing is promised" in page
    assert "At least" not in page.split("Operating points</h2>")[0]
    assert browser.get("/worklist").status_code == 200


def test_every_page_of_an_empty_system_says_what_to_do_next(portal: Portal) -> None:
    browser, _ = sign_in(portal, "operator")
    for path in ("/", "/runs", "/worklist"):
        page = browser.get(path)
        assert page.status_code == 200, path
        assert 'href="/runs/new"' in page.text, path
    for path in ("/runs/new", "/model", "/system", "/account"):
        assert browser.get(path).status_code == 200, path


def test_pages_of_a_run_and_its_results(portal: Portal) -> None:
    run = filled(portal)
    browser, _ = sign_in(portal, "reader")
    for path in ("/", "/runs", f"/runs/{run}", f"/worklist?run={run}", "/worklist?band=flagged", "/model", "/system"):
        page = browser.get(path)
        assert page.status_code == 200, path
        assert "Not a diagnosis" in page.text
        assert "<img src=x" not in page.text, path
        assert "ward <7>" not in page.text, path
        assert not re.search(r"\snormal|no fracture", page.text, re.IGNORECASE), path
        assert not re.search(r"<[^>]+\s(style|on\w+)=", page.text), f"{path} has inline styles or handlers"
        assert "<script>" not in page.text
    status = browser.get(f"/runs/{run}").text
    assert "3 of 3 screened" in status
    assert "This is a text, not a radiograph." in status
    assert "hx-get" not in status, "a run that has ended is not asked about again"
    listed = browser.get(f"/worklist?run={run}").text
    assert listed.index("high.png") < listed.index("low.png")
    assert "0.99" in listed, "0.999 must not be shown as certain"
    scan = re.search(r'href="(/scans/[0-9a-f]+)[?"]', listed)
    assert scan
    viewer = browser.get(scan.group(1))
    assert viewer.status_code == 200
    assert "Where the network looked" in viewer.text


def test_a_running_run_is_asked_about_until_it_ends(portal: Portal) -> None:
    api = portal.api()
    run = api.open_run()
    api.receipts(run, ("a.png", phantom_png(1)))
    browser, csrf = sign_in(portal, "operator")
    assert "hx-get" in browser.get(f"/runs/{run}/status").text
    assert browser.post(f"/runs/{run}/pause", data={"csrf_token": csrf}).headers["Location"] == f"/runs/{run}"
    assert "Resume" in browser.get(f"/runs/{run}").text
    assert browser.post(f"/runs/{run}/resume", data={"csrf_token": csrf}).status_code == 302
    assert browser.get(f"/runs/{run}/add").status_code == 200
    assert browser.post(f"/runs/{run}/submit", data={"csrf_token": csrf}).status_code == 302
    assert browser.get(f"/runs/{run}/add").headers["Location"] == f"/runs/{run}"
    assert browser.post(f"/runs/{run}/explode", data={"csrf_token": csrf}).status_code == 404
    assert browser.post(f"/runs/{run}/cancel", data={"csrf_token": csrf}).status_code == 302
    assert "hx-get" not in browser.get(f"/runs/{run}/status").text


def test_problems_are_pages_for_people(portal: Portal) -> None:
    browser, _ = sign_in(portal, "reader")
    for path, status in (("/runs/99", 404), ("/nothing", 404), ("/worklist?band=x", 400), ("/worklist?cursor=x", 400)):
        page = browser.get(path)
        assert (page.status_code, page.mimetype) == (status, "text/html"), path
        assert 'href="/"' in page.text
    assert browser.get("/scans/" + "f" * 32).status_code == 404


def test_missing_workers_are_pointed_out(portal: Portal) -> None:
    run = portal.api().open_run()
    browser, _ = sign_in(portal, "operator")
    assert "No prepare and no screen worker is running" in browser.get("/").text
    system = portal.system
    with system.database.write() as session:
        for queue in QueueName:
            beat(session, system.clock(), f"{queue}@x", queue, {"images_per_s": 32.5, "engines": {"id": "openvino"}})
    assert "worker is running" not in browser.get("/").text
    page = browser.get("/system").text
    assert "32.5 images/s" in page
    assert "openvino" in page
    assert portal.api().post(f"/api/v1/runs/{run}/cancel").status_code == 200


def test_the_theme_is_kept_in_a_cookie(portal: Portal) -> None:
    browser, csrf = sign_in(portal, "reader")
    assert 'data-theme="dark"' in browser.get("/").text
    answer = browser.post("/theme", data={"theme": "light", "next": "/runs", "csrf_token": csrf})
    assert answer.headers["Location"] == "/runs"
    assert 'data-theme="light"' in browser.get("/").text


@pytest.mark.parametrize("path", ["/sign-in", "/", "/api/v1/runs", "/static/portal.css", "/healthz"])
def test_security_headers_are_everywhere(portal: Portal, path: str) -> None:
    with portal.browser().get(path) as answer:
        headers = answer.headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] in ("same-origin", "no-referrer")
    if not path.startswith("/static"):
        assert headers["Cache-Control"] == "no-store"


def test_what_is_shown_once_is_not_lost_by_the_button_of_the_theme(portal: Portal) -> None:
    browser, csrf = sign_in(portal, "operator")
    assert 'name="theme"' in browser.get("/account").text
    made = browser.post("/account/tokens", data={"csrf_token": csrf, "name": "a script"}).text
    assert "shown this once" in made
    assert 'name="theme"' not in made
