"""What tests do in the viewer, as readers do it, and what the database then holds."""

from playwright.sync_api import Page, expect
from sqlalchemy import select

from screening.database.review_tables import Hold, Review
from tests.browser.conftest import Live
from tests.installation import phantom_png


def screened(live: Live, name: str, seeds: range) -> int:
    """A run of phantoms of these seeds that is screened."""
    run = live.installation.open_run(name)
    for seed in seeds:
        live.installation.upload(run, f"hand_{seed}.png", phantom_png(seed))
    live.installation.submit(run)
    live.installation.wait_complete(run)
    return run


def open_list(page: Page, worklist: str) -> list[str]:
    """Go to the worklist: the addresses of its scans."""
    page.goto(worklist)
    found = page.locator("#work a.open").evaluate_all("links => links.map((link) => link.href)")
    assert found
    return list(found)


def wait_seen(page: Page) -> None:
    """Until a verdict about the scan that is open counts."""
    expect(page.locator("#viewer")).to_have_attribute("data-seen", "")


def open_scan(page: Page, worklist: str, index: int) -> list[str]:
    """Open a scan from the worklist, wait until it is held, and give the addresses of all."""
    scans = open_list(page, worklist)
    with page.expect_response(lambda answer: answer.url.endswith("/hold") and answer.request.method == "PUT"):
        page.locator("#work a.open").nth(index).click()
    wait_seen(page)
    return scans


def open_at(page: Page, scan: str) -> None:
    with page.expect_response(lambda answer: answer.url.endswith("/hold") and answer.request.method == "PUT"):
        page.goto(scan)
    wait_seen(page)


def wait_for_scan(page: Page, scan: str) -> None:
    """Until this scan is open and a verdict about it counts. Going back changes the address first and the scan a moment
    later; keys pressed in between do nothing."""
    page.wait_for_url(scan)
    expect(page.locator("#viewer")).to_have_attribute("data-scan", scan_id(scan))
    wait_seen(page)


def scan_id(address: str) -> str:
    return address.split("?")[0].rsplit("/", 1)[1]


def reviews(live: Live, scan: str) -> list[tuple[str, str | None]]:
    """(verdict, comment) of the reviews of a scan, given by its address, that were not withdrawn."""
    with live.installation.system.database.read() as session:
        rows = session.scalars(
            select(Review).where(Review.scan_id == scan_id(scan), Review.withdrawn_at.is_(None)).order_by(Review.id)
        )
        return [(row.verdict, row.comment) for row in rows]


def holder(live: Live, scan: str) -> str | None:
    with live.installation.system.database.read() as session:
        held = session.get(Hold, scan_id(scan))
        return held.reader if held else None
