"""Every page in both themes, on a phone and on a desk: accessible, silent on the console, no wider than the screen."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from screening.clock import utc_now
from screening.rescreening.schedules import Plan, add_schedule
from screening.reviews.holds import take
from screening.runs.lifecycle import open_run
from tests.browser.conftest import Live, Watched
from tests.browser.pages import OVERLAPS, STICKS_OUT, every_page, is_page, values_of
from tests.installation import phantom_png
from web import create_app


@pytest.fixture(scope="module")
def pages(live: Live) -> list[str]:
    """The addresses of all pages of an installation with a finished run of long names, a refusal, and a schedule."""
    made = live.installation
    run = made.open_run("x" * 120)
    for number in range(3):
        made.upload(run, f"{'a_rather_long_name_' * 8}{number}.png", phantom_png(14_000 + number))
    made.upload(run, "notes.jpg", b"only text")
    made.upload(run, "broken.png", phantom_png(14_100)[:2000])
    made.submit(run)
    made.wait_complete(run)
    with made.system.database.write() as session:
        add_schedule(session, utc_now(), Plan("every night", "0 22 * * *", "Europe/Berlin", "06:00"), "tests")
        # A second run that still takes files, and that its owner is offered to go on with.
        open_run(session, utc_now(), "interrupted", "routine", live.person.name)
    holder = "Dr. Wilhelmina-Theodora Featherstonehaugh-Cholmondeley of the night shift"
    with made.system.database.write() as session:
        take(session, utc_now(), str(values_of(made.system)["scan_id"]), holder, 3600)
    found, unknown = every_page(create_app(made.system), values_of(made.system))
    assert unknown == [], "tests/browser/pages.py must know a value for the variable parts of these"
    return list(found.values())


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("width", [390, 1440])
def test_every_page_is_accessible_and_fits(
    live: Live, watched: Watched, pages: list[str], theme: str, width: int
) -> None:
    page = watched.page
    page.set_viewport_size({"width": width, "height": 844})
    page.context.add_cookies([{"name": "theme", "value": theme, "url": live.url}])
    axe = Axe()
    problems: list[str] = []
    for path in pages:
        answer = page.request.get(f"{live.url}{path}")
        assert answer.status == 200, path
        if not is_page(answer):
            continue
        page.goto(f"{live.url}{path}")
        assert page.locator("html").get_attribute("data-theme") == theme
        assert "not a diagnosis" in page.locator("footer").inner_text().lower()
        problems += [f"{path} is too wide: {reason}" for reason in page.evaluate(STICKS_OUT)]
        if page.locator("#held").is_visible():
            page.keyboard.press("i")
            page.locator("#altered").wait_for()
            problems += [f"{path}: these overlap: {texts}" for texts in page.evaluate(OVERLAPS)]
        problems += [
            f"{path}: {violation['id']} at {[node['target'] for node in violation['nodes'][:3]]}"
            for violation in axe.run(page).response["violations"]
            if violation["impact"] in ("serious", "critical")
        ]
    assert problems == []
