"""The worklist as readers use it: filters in the address, the map by mouse and keyboard, the queue, the way."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from sqlalchemy import delete, select

from screening.clock import utc_now
from screening.database.review_tables import Hold, Review
from tests.browser.conftest import Live, Watched
from tests.browser.pages import STICKS_OUT
from tests.browser.portal import screened


def test_filters_stand_in_the_address_and_go_with_the_reader(live: Live, watched: Watched) -> None:
    page = watched.page
    run = screened(live, watched, "corridor", 12_000)
    page.goto(f"{live.url}/worklist")
    page.select_option("#run", run)
    page.wait_for_url(re.compile(rf"/worklist\?run={run}$"))
    page.fill("#search", "IMG_")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"search=IMG_"))
    rows = page.locator("#work > li")
    expect(rows).to_have_count(5)
    names = [row.inner_text() for row in page.locator("#work a.open").all()]
    page.locator("#work a.open").nth(1).click()
    expect(page.locator("h1")).to_have_text(names[1])
    for name in names[2:4]:
        page.locator("#next").click()
        expect(page.locator("h1")).to_have_text(name)
    assert "search=IMG_" in page.url
    page.locator("#back").click()
    page.wait_for_url(re.compile(rf"/worklist\?.*run={run}"))
    page.get_by_role("link", name="Clear the filters").click()
    page.wait_for_url(f"{live.url}/worklist")


def test_a_date_is_typed_to_its_end_and_counts_when_it_is_left(live: Live, watched: Watched) -> None:
    page = watched.page
    screened(live, watched, "dated", 12_050)
    page.goto(f"{live.url}/worklist")
    page.locator("#from").focus()
    page.keyboard.type("03312026", delay=60)
    expect(page.locator("#from")).to_have_value("2026-03-31")
    assert page.url == f"{live.url}/worklist", "a year is one from its first digit on"
    page.locator("#search").focus()
    page.wait_for_url(re.compile(r"\?from=2026-03-31$"))
    page.locator("#to").focus()
    page.keyboard.type("12312027")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"from=2026-03-31&to=2027-12-31$"))
    page.fill("#from", "2026-03-01")  # as picking one does, without a key
    page.wait_for_url(re.compile(r"from=2026-03-01&to=2027-12-31$"))


def test_arrow_keys_look_through_a_filter_and_leaving_it_chooses(live: Live, watched: Watched) -> None:
    page = watched.page
    screened(live, watched, "looked through", 12_060)
    page.goto(f"{live.url}/worklist")
    page.locator("#reviewed").focus()
    for value in ("unreviewed", "reviewed"):
        page.keyboard.press("ArrowDown")
        expect(page.locator("#reviewed")).to_have_value(value)
    assert page.url == f"{live.url}/worklist"
    page.keyboard.press("Tab")
    page.wait_for_url(re.compile(r"\?reviewed=reviewed$"))
    page.locator("#reviewed").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"\?reviewed=unreviewed$"))


def test_the_map_lies_over_a_thumbnail_while_its_row_is_pointed_at_or_has_the_focus(
    live: Live, watched: Watched
) -> None:
    page = watched.page
    run = screened(live, watched, "maps", 12_100)
    page.goto(f"{live.url}/worklist?run={run}&band=flagged")
    if page.locator("#work > li").count() < 2:
        page.goto(f"{live.url}/worklist?run={run}&band=not_flagged")
    maps = page.locator("#work .map")
    expect(maps.first).to_be_hidden()
    assert maps.first.get_attribute("src") is None, "nothing is fetched before it is asked for"
    page.locator("#work > li").first.hover()
    expect(maps.first).to_be_visible()
    assert maps.first.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    page.mouse.move(0, 0)
    expect(maps.first).to_be_hidden()
    page.locator("#work a.open").nth(1).focus()
    expect(maps.nth(1)).to_be_visible()


def test_the_queue_shows_no_bands_and_lets_go_of_what_is_read(live: Live, watched: Watched) -> None:
    page = watched.page
    run = screened(live, watched, "queue", 12_200, count=12)
    page.goto(f"{live.url}/worklist?view=to_read&run={run}")
    expect(page.locator(".tabs [aria-current]")).to_have_text(re.compile("^To read"))
    assert page.locator("#work .score").count() == 0
    for words in page.locator("#work .band").all_inner_texts():
        assert words == "Must look"
    links = page.locator("#work a.open")
    before = [link.get_attribute("href") or "" for link in links.all()]
    scan = before[-1].split("?")[0].rsplit("/", 1)[1]
    now = utc_now()
    with live.installation.system.database.write() as session:
        session.add(Hold(scan_id=scan, reader="A. K.", held_since=now, held_until=now.replace(year=now.year + 1)))
    page.reload()
    expect(page.locator("#work > li").last).to_contain_text("held by A. K.")
    with live.installation.system.database.write() as session:
        session.execute(delete(Hold))
        session.add(Review(scan_id=scan, reader="A. K.", verdict="unsure", sampled=False, reviewed_at=now))
    page.reload()
    assert [link.get_attribute("href") for link in links.all()] == before[:-1]
    page.goto(f"{live.url}/worklist?run={run}&reviewed=reviewed")
    expect(page.locator("#work > li")).to_have_count(1)
    expect(page.locator("#work > li")).to_contain_text("read by 1")
    with live.installation.system.database.read() as session:
        assert session.scalar(select(Review.reader).where(Review.scan_id == scan)) == "A. K."


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_list_in_all_its_forms_is_accessible_and_fits_a_phone(live: Live, watched: Watched, theme: str) -> None:
    page = watched.page
    run = screened(live, watched, f"forms {theme}", 12_300 if theme == "dark" else 12_400)
    page.context.add_cookies([{"name": "theme", "value": theme, "url": live.url}])
    axe = Axe()
    for query in ("", "?view=to_read", f"?run={run}&search=IMG&group=study&reviewed=unreviewed", "?search=nothing"):
        page.set_viewport_size({"width": 1280, "height": 800})
        page.goto(f"{live.url}/worklist{query}")
        serious = [
            f"{violation['id']} at {[node['target'] for node in violation['nodes'][:3]]}"
            for violation in axe.run(page).response["violations"]
            if violation["impact"] in ("serious", "critical")
        ]
        assert serious == [], query
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.evaluate(STICKS_OUT) == [], query
