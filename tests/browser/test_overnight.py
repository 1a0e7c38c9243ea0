"""Re-screening as people use it: plan a schedule, let it run, read what changes, switch checkpoints and back."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from screening import checkpoints
from screening.clock import utc_now
from screening.rescreening.candidates import nominate, withdraw
from tests.browser.conftest import Live, Watched
from tests.browser.portal import PATIENCE_MS, upload
from tests.bundles import make_random_bundle
from tests.installation import phantom_png, wait_until

SCANS = 6


@pytest.fixture(scope="module")
def candidate(live: Live, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Another checkpoint for the same renditions, named the candidate: its id."""
    bundle = make_random_bundle(tmp_path_factory.mktemp("other") / "other", side=64, seed=11)
    system = live.installation.system
    other, _ = checkpoints.register(system.database, system.storage, utc_now(), bundle, "fp32", "tests")
    return other


@pytest.fixture
def nominated(live: Live, candidate: str) -> str:
    with live.installation.system.database.write() as session:
        withdraw(session, utc_now(), "tests")
        nominate(session, utc_now(), candidate, "tests")
    return candidate


def plan(page: Page, live: Live, name: str) -> None:
    """Fill in a new schedule, look at its preview, and save it."""
    page.goto(f"{live.url}/schedules")
    page.locator("a.primary", has_text="New schedule").click()
    expect(page.locator("#time_zone")).not_to_have_value("")
    page.fill("#name", name)
    page.fill("#cron", "30 23 * * 1-5")
    page.fill("#window_end", "05:30")
    page.click("#preview")
    expect(page.locator("section.card tbody tr")).to_have_count(5)
    expect(page.locator("#name")).to_have_value(name)
    page.click("#save")
    expect(page.locator("h1")).to_have_text(name)


def run_now(page: Page) -> None:
    """Have the schedule that the page shows fire, and wait until its run is complete."""
    page.click("#run-now")
    expect(page.locator("section", has_text="History").locator("tbody tr").first).to_be_visible()
    schedule = page.url

    def ended() -> bool:
        page.goto(schedule)
        return "at work" not in page.locator("section", has_text="History").locator("tbody tr").first.inner_text()

    deadline = PATIENCE_MS / 1000
    wait_until(ended, deadline, "the firing is over")
    page.goto(schedule)


def test_from_a_plan_to_another_checkpoint_and_back(live: Live, watched: Watched, nominated: str) -> None:
    page = watched.page
    upload(page, live, {f"night_{n}.png": phantom_png(13_000 + n) for n in range(SCANS)}, "to be screened again")
    page.click("#open")
    expect(page.locator("#status")).to_have_attribute("data-state", "complete", timeout=PATIENCE_MS)
    run = page.url.rsplit("/", 1)[-1]
    plan(page, live, "weeknights")
    run_now(page)
    history = page.locator("section", has_text="History").locator("tbody tr").first
    expect(history).to_contain_text("asked for by Zoë Keeper")
    expect(history).to_contain_text("the run is complete")

    page.goto(f"{live.url}/compare?run={run}")
    expect(page.locator("#summary")).to_contain_text(f"{SCANS} scans were screened by both")
    pairs = page.locator("#work li")
    expect(pairs).to_have_count(SCANS)
    changes = [abs(float(score.inner_text())) for score in page.locator("#work .score").all()]
    assert changes == sorted(changes, reverse=True)
    pairs.first.locator("summary").click()
    for picture in pairs.first.locator("figure img").all():
        expect(picture).to_be_visible()
        assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0

    worklist = f"{live.url}/worklist"
    page.goto(worklist)
    before = page.locator("#work .score").all_inner_texts()
    former = switch(page, live, nominated, "it misses less")
    page.goto(worklist)
    assert page.locator("#work .score").all_inner_texts() != before
    assert switch(page, live, former, "the night was only a trial") == nominated
    page.goto(worklist)
    assert page.locator("#work .score").all_inner_texts() == before


def switch(page: Page, live: Live, to: str, reason: str) -> str:
    """Put this checkpoint in use on the page of the comparison: the id of the one that was in use before."""
    with live.installation.system.database.read() as session:
        former = checkpoints.active(session).id
    page.goto(f"{live.url}/compare?before={former}&after={to}")
    page.fill(f"#reason-{to}", reason)
    meant = page.get_by_label("Use it all the same")
    if meant.count():
        meant.check()
    page.get_by_role("button", name="Make it the active checkpoint").click()
    expect(page.locator("body")).to_contain_text("is in use now")
    with live.installation.system.database.read() as session:
        assert checkpoints.active(session).id == to
    return former


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_schedules_and_comparison_are_accessible_and_fit_a_phone(
    live: Live, watched: Watched, nominated: str, theme: str
) -> None:
    page = watched.page
    name = f"accessible {theme}"
    upload(page, live, {f"{theme}.png": phantom_png(13_100 + len(theme))}, name)
    plan(page, live, name)
    schedule = page.url.removeprefix(live.url)
    run_now(page)
    page.context.add_cookies([{"name": "theme", "value": theme, "url": live.url}])
    axe = Axe()
    for path in ("/schedules", "/schedules/new", schedule, "/compare", "/compare?kind=unchanged"):
        page.goto(f"{live.url}{path}")
        assert page.locator("html").get_attribute("data-theme") == theme
        violations = axe.run(page).response["violations"]
        assert [found["id"] for found in violations if found["impact"] in ("serious", "critical")] == [], path
        for width in (390, 1440):
            page.set_viewport_size({"width": width, "height": 844})
            root = page.locator("html")
            assert root.evaluate("root => root.scrollWidth <= root.clientWidth"), f"{path} at {width} px"
