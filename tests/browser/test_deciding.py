"""A verdict is about the scan that the reader saw: what is pressed twice, too early or without a picture counts not."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Live, Watched
from tests.browser.reading import open_list, open_scan, reviews, scan_id, screened, wait_for_scan

AS_SOON_AS_IT_COMES = """
() => new MutationObserver((_, observer) => {
  observer.disconnect();
  // After the page has been told of the scan, and long before anybody has seen it.
  setTimeout(() => { %s }, 100);
}).observe(document.getElementById("viewer").parentElement, { childList: true })
"""
KEY = 'document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "n", bubbles: true }))'
CLICK = 'document.getElementById("verdict-no_fracture").click()'


@pytest.fixture(scope="module")
def worklist(live: Live) -> str:
    """The address of the worklist of a screened run."""
    return f"{live.url}/worklist?run={screened(live, 'to be decided', range(17_000, 17_006))}"


def said(page: Page, words: str) -> None:
    expect(page.locator("#said-words")).to_contain_text(words)


def test_a_double_click_is_one_verdict(live: Live, watched: Watched, worklist: str) -> None:
    page = watched.page
    scans = open_scan(page, worklist, 0)
    page.locator("#verdict-no_fracture").dblclick(delay=120)
    wait_for_scan(page, scans[1])
    assert [reviews(live, scan) for scan in scans[:3]] == [[("no_fracture", None)], [], []]
    # The scan that came is decided as ever.
    page.locator("#verdict-unsure").click()
    wait_for_scan(page, scans[2])
    assert [reviews(live, scan) for scan in scans[:3]] == [[("no_fracture", None)], [("unsure", None)], []]


@pytest.mark.parametrize(("place", "again"), [(2, KEY), (3, CLICK)])
def test_what_is_pressed_while_the_next_scan_comes_decides_nothing(
    live: Live, watched: Watched, worklist: str, place: int, again: str
) -> None:
    page = watched.page
    scans = open_scan(page, worklist, place)
    page.evaluate(AS_SOON_AS_IT_COMES % again)
    page.keyboard.press("n")
    wait_for_scan(page, scans[place + 1])
    said(page, "has only just come up. Nothing was recorded for hand_")
    # The line still tells what its button takes back.
    said(page, "No fracture: hand_")
    assert [reviews(live, scan) for scan in scans[place:]] == [[("no_fracture", None)], *[[]] * (5 - place)]


def test_each_verdict_is_undone_the_latest_first(live: Live, watched: Watched, worklist: str) -> None:
    page = watched.page
    scans = open_scan(page, worklist, 3)
    former = [reviews(live, scan) for scan in scans[3:]]
    for place, key in ((3, "u"), (4, "q")):
        page.keyboard.press(key)
        wait_for_scan(page, scans[place + 1])
    page.keyboard.press("z")
    wait_for_scan(page, scans[4])
    said(page, "Withdrawn.")
    assert [reviews(live, scan) for scan in scans[3:]] == [[*former[0], ("unsure", None)], *former[1:]]
    page.locator("#undo").click()
    wait_for_scan(page, scans[3])
    expect(page.locator("#undo")).to_be_hidden()
    assert [reviews(live, scan) for scan in scans[3:]] == former


def test_without_its_picture_a_scan_takes_no_verdict(live: Live, watched: Watched, worklist: str) -> None:
    page = watched.page
    scans = open_list(page, worklist)
    lost = scan_id(scans[5])
    page.route(f"**/{lost}/display.jpg", lambda route: route.abort())
    page.goto(scans[5])
    expect(page.locator("#viewer")).to_have_attribute("data-scan", lost)
    expect(page.locator("#help-open")).to_be_visible()
    for key in "fn":
        page.keyboard.press(key)
        said(page, "The picture did not come, so nobody has seen it. Reload the page. Nothing was recorded for hand_")
    assert reviews(live, scans[5]) == []
    page.unroute_all()
    page.reload()
    wait_for_scan(page, scans[5])
    page.keyboard.press("n")
    said(page, "Nothing follows in this list.")
    assert reviews(live, scans[5]) == [("no_fracture", None)]
    # The lost picture of this test is a complaint of the browser, too.
    watched.complaints[:] = [text for text in watched.complaints if "Failed to load resource" not in text]
