"""Reading as readers do it: by keyboard alone, scan after scan, with undo, and beside another reader."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from screening import checkpoints
from screening.accounts import add_user, issue_sign_in_link
from screening.clock import utc_now
from tests.browser.conftest import Live, Watched, watch
from tests.browser.reading import (
    holder,
    open_at,
    open_list,
    open_scan,
    reviews,
    scan_id,
    screened,
    wait_for_scan,
    wait_seen,
)

SCANS = 13
FETCHED = """
(scan) => performance.getEntriesByType("resource").some(({ name }) => name.endsWith(`${scan}/display.jpg`))
"""


@pytest.fixture(scope="module")
def worklist(live: Live) -> str:
    """The address of the worklist of a screened run that nobody has read."""
    return f"{live.url}/worklist?run={screened(live, 'to be read', range(11_000, 11_000 + SCANS))}"


@pytest.fixture
def second(live: Live, chromium: Browser) -> Iterator[Watched]:
    """Another reader, in a browser of their own."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    with live.installation.system.database.write() as session:
        person = add_user(session, utc_now(), f"A. K. {utc_now():%H%M%S%f}", "reader", None, "tests")
        secret = issue_sign_in_link(session, utc_now(), person, "tests")
    watched = Watched(context.new_page())
    watch(watched, live.url)
    watched.page.goto(f"{live.url}/sign-in/{secret}")
    watched.page.wait_for_url(f"{live.url}/")
    yield watched
    context.close()
    assert watched.complaints == []


def test_ten_scans_are_read_by_keyboard_alone(live: Live, watched: Watched, worklist: str) -> None:
    page = watched.page
    scans = open_list(page, worklist)
    assert len(scans) == SCANS
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('#work a.open')"):
            break
    pictures: list[str] = []
    page.on("request", lambda request: pictures.append(request.url) if "/display.jpg" in request.url else None)
    page.keyboard.press("Enter")
    wait_for_scan(page, scans[0])
    expect(page.locator("#help-open")).to_be_visible()
    page.evaluate("window.here = true")
    keys = {"f": "fracture", "n": "no_fracture", "u": "unsure", "q": "poor_quality"}
    for index in range(10):
        key = "fnuq"[index % 4]
        expect(page.locator(".original")).to_have_js_property("complete", True)
        # The next two were fetched before they were asked for.
        for ahead in scans[index + 1 : index + 3]:
            page.wait_for_function(FETCHED, arg=scan_id(ahead))
        if index == 3:
            page.keyboard.press("c")
            page.keyboard.type("no fun: unsharp")
            page.keyboard.press("Enter")
        page.keyboard.press(key)
        wait_for_scan(page, scans[index + 1])
        comment = "no fun: unsharp" if index == 3 else None
        assert reviews(live, scans[index]) == [(keys[key], comment)]
    assert page.evaluate("window.here"), "the page was never loaded anew"
    assert len(pictures) == len(set(pictures)), "no picture is sent twice"
    # There and back by both kinds of keys, and out of the viewer.
    for pressed, index in (("ArrowLeft", 9), ("k", 8), ("j", 9), ("ArrowRight", 10)):
        page.keyboard.press(pressed)
        wait_for_scan(page, scans[index])
    page.go_back()
    wait_for_scan(page, scans[9])
    expect(page.locator("#verdict-no_fracture")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    page.wait_for_url(worklist)


def test_a_verdict_is_undone_by_a_key(live: Live, watched: Watched, worklist: str) -> None:
    page = watched.page
    scans = open_scan(page, worklist, 10)
    page.keyboard.press("f")
    wait_for_scan(page, scans[11])
    expect(page.locator("#said")).to_contain_text("Fracture: hand_")
    page.keyboard.press("z")
    wait_for_scan(page, scans[10])
    expect(page.locator("#said-words")).to_have_text("Withdrawn.")
    expect(page.locator("#undo")).to_be_hidden()
    assert reviews(live, scans[10]) == []
    # The last scan of the list stays open and shows what was decided; a second key press undoes nothing more.
    for scan in scans[11:]:
        page.keyboard.press("j")
        wait_for_scan(page, scan)
    page.keyboard.press("u")
    expect(page.locator("#said")).to_contain_text("Nothing follows in this list.")
    expect(page.locator("#reviews")).to_contain_text("You: unsure")
    page.keyboard.press("z")
    expect(page.locator("#reviews")).to_contain_text("You have not reviewed this scan.")
    page.keyboard.press("z")
    page.keyboard.press("k")
    wait_for_scan(page, scans[11])
    assert reviews(live, scans[12]) == []


def test_the_original_is_shown_first_and_what_alters_it_is_said(live: Live, watched: Watched, worklist: str) -> None:
    page = watched.page
    scans = open_scan(page, worklist, 11)
    original, altered, overlay = page.locator(".original"), page.locator("#altered"), page.locator("#map")

    def untouched() -> None:
        expect(altered).to_be_hidden()
        expect(overlay).to_be_hidden()
        expect(original).to_have_css("filter", "none")
        expect(page.locator("#layer")).to_have_css("transform", "none")

    untouched()
    page.keyboard.press("i")
    expect(altered).to_contain_text("Shown inverted.")
    page.keyboard.press("w")
    for key in ("ArrowLeft", "ArrowLeft", "ArrowUp"):
        page.keyboard.press(key)
    expect(altered).to_contain_text("Shown inverted, window 235, level 117.")
    assert page.url == scans[11], "in the window mode the arrows change the greys"
    page.keyboard.press("r")
    expect(altered).to_be_hidden()
    expect(original).to_have_css("filter", "none")
    page.keyboard.press("w")
    box = page.locator("#stage").bounding_box()
    assert box
    page.keyboard.down("Shift")
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 100, box["y"] + 200)
    page.mouse.up()
    page.keyboard.up("Shift")
    expect(altered).to_contain_text("Shown window 191, level 128.")
    page.mouse.wheel(0, -500)
    expect(page.locator("#zoom")).not_to_have_text("100%")
    page.keyboard.press("m")
    expect(overlay).to_be_visible()
    expect(page.locator("#map-caption")).to_contain_text("Where the network looked")
    page.keyboard.press("j")
    wait_for_scan(page, scans[12])
    untouched()
    page.keyboard.press("+")
    expect(page.locator("#zoom")).to_have_text("125%")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator("#layer")).not_to_have_css("transform", "none")
    page.keyboard.press("0")
    untouched()


def test_another_reader_sees_the_hold_and_reads_all_the_same(
    live: Live, watched: Watched, second: Watched, worklist: str
) -> None:
    first, other = watched.page, second.page
    scans = open_scan(first, worklist, 10)
    assert holder(live, scans[10]) == live.person.name
    open_scan(other, worklist, 10)
    expect(other.locator("#held")).to_contain_text(f"Held by {live.person.name} for ")
    expect(other.locator(".original")).to_be_visible()
    expect(first.locator("#held")).to_be_hidden()
    first.keyboard.press("n")
    first.wait_for_url(scans[11])
    assert reviews(live, scans[10]) == [("no_fracture", None)]
    # The verdict of the first is kept back until the second has decided, too.
    other.reload()
    expect(other.locator("#held")).to_be_hidden()
    expect(other.locator("#reviews")).to_contain_text("1 other review is shown after your own verdict")
    expect(other.locator("#reviews")).not_to_contain_text(live.person.name)
    wait_seen(other)
    other.keyboard.press("u")
    other.wait_for_url(scans[11])
    other.keyboard.press("k")
    other.wait_for_url(scans[10])
    expect(other.locator("#reviews")).to_contain_text(f"{live.person.name}: no fracture")
    # Who leaves lets go.
    with first.expect_response(lambda answer: answer.url.endswith("/hold") and answer.request.method == "DELETE"):
        first.keyboard.press("j")
    first.wait_for_url(scans[12])
    assert holder(live, scans[11]) is None


def test_the_reading_queue_passes_over_what_another_reader_opened_meanwhile(
    live: Live, watched: Watched, second: Watched
) -> None:
    """Both go through the same queue: nobody gets what the other has open, and the network's word is folded."""
    system, run = live.installation.system, screened(live, "a queue", range(8000, 8004))
    with system.database.write() as session:
        # Whatever the random network says, everything is flagged.
        checkpoint = checkpoints.active(session)
        checkpoints.set_operating_point(session, utc_now(), checkpoint.id, 0.0001, 0.9, "a test", "tests")
    first, other = watched.page, second.page
    other.goto(f"{live.url}/worklist?run={run}&view=to_read")
    scans = other.locator("#work a.open").evaluate_all("links => links.map((link) => link.href)")
    assert len(scans) == 4
    open_at(other, scans[0])
    open_at(first, scans[1])
    other.keyboard.press("j")
    other.wait_for_url(scans[2])
    expect(other.locator("#held")).to_be_hidden()
    expect(other.locator("#verdict .probability")).to_be_hidden()
    other.keyboard.press("p")
    expect(other.locator("#verdict .probability")).to_be_visible()


def test_a_link_with_the_filters_of_a_worklist_is_enough(live: Live, watched: Watched, worklist: str) -> None:
    """In a tab that never saw the list, as after a link in a message."""
    scans = open_list(watched.page, worklist)
    fresh = watched.page.context.new_page()
    watch(Watched(fresh, watched.complaints), live.url)
    fresh.goto(f"{scans[4].split('?')[0]}?{worklist.split('?')[1]}")
    expect(fresh.locator("#help-open")).to_be_visible()
    expect(fresh.locator("#back")).to_have_attribute("href", worklist.removeprefix(live.url))
    fresh.keyboard.press("j")
    fresh.wait_for_url(scans[5])


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_viewer_has_no_serious_accessibility_problem(
    live: Live, watched: Watched, worklist: str, theme: str
) -> None:
    page = watched.page
    page.context.add_cookies([{"name": "theme", "value": theme, "url": live.url}])
    open_scan(page, worklist, 0)
    assert page.locator("html").get_attribute("data-theme") == theme

    def problems() -> list[str]:
        found = Axe().run(page).response["violations"]
        return [
            f"{violation['id']} at {[node['target'] for node in violation['nodes'][:3]]}"
            for violation in found
            if violation["impact"] in ("serious", "critical")
        ]

    assert problems() == []
    for key in "miw":
        page.keyboard.press(key)
    expect(page.locator("#map-caption")).to_be_visible()
    page.keyboard.press("f")
    expect(page.locator("#said")).to_contain_text("Fracture")
    page.keyboard.press("m")
    page.keyboard.press("i")
    expect(page.locator("#altered")).to_be_visible()
    assert problems() == []
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    assert problems() == []
    page.keyboard.press("f")
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
