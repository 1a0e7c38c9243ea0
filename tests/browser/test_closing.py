"""The end of an upload: every file is there, and the run is closed, however often the server has to be asked."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Live, Watched
from tests.browser.portal import PATIENCE_MS, drop
from tests.installation import phantom_png

AWAY = "The database does not answer. Nothing was lost; try again in a few seconds."
CANCELLED = "Run 7 was cancelled. Open a new run."


@pytest.fixture
def complained(watched: Watched) -> Iterator[Watched]:
    """A window whose browser may complain of answers that say no."""
    yield watched
    watched.complaints[:] = [text for text in watched.complaints if "Failed to load resource" not in text]


def refuse(page: Page, address: str, status: int, detail: str, times: int) -> None:
    """Answer so many of the next requests to this address with a problem."""

    def answer(route: Route) -> None:
        route.fulfill(status=status, content_type="application/problem+json", body=json.dumps({"detail": detail}))

    page.route(address, answer, times=times)


def send(page: Page, live: Live, seed: int) -> None:
    page.goto(f"{live.url}/runs/new")
    drop(page, {"one.png": phantom_png(seed)})
    page.click("#start")


def test_a_server_that_is_away_is_asked_again_until_the_run_is_closed(live: Live, complained: Watched) -> None:
    page = complained.page
    refuse(page, "**/submit", 503, AWAY, times=2)
    refuse(page, "**/files?limit=1", 503, AWAY, times=1)
    send(page, live, 9150)
    expect(page.locator("#trouble")).to_have_text(f"The run is not closed. {AWAY} This page tries again by itself.")
    expect(page.locator("#open")).to_be_visible()
    expect(page.locator("#drop")).to_be_hidden()
    expect(page.locator("#receipt")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("#trouble")).to_be_hidden()
    expect(page.locator("#count-accepted")).to_have_text("1")
    expect(page.locator("#finish")).to_be_hidden()
    page.click("#open")
    expect(page.locator("#status")).to_have_attribute("data-state", "complete", timeout=PATIENCE_MS)


def test_a_server_that_says_no_is_asked_again_by_a_button(live: Live, complained: Watched) -> None:
    page = complained.page
    refuse(page, "**/submit", 409, CANCELLED, times=1)
    send(page, live, 9200)
    expect(page.locator("#trouble")).to_have_text(f"The run is not closed. {CANCELLED}")
    expect(page.locator("#open")).to_be_visible()
    expect(page.locator("#finish")).to_be_visible()
    expect(page.locator("#drop")).to_be_visible()
    page.click("#finish")
    expect(page.locator("#receipt")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("#trouble")).to_be_hidden()


def test_more_files_after_a_no_are_sent_and_close_the_run(live: Live, complained: Watched) -> None:
    page = complained.page
    refuse(page, "**/submit", 409, CANCELLED, times=1)
    send(page, live, 9300)
    expect(page.locator("#finish")).to_be_visible()
    drop(page, {"two.png": phantom_png(9301)})
    expect(page.locator("#receipt")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("#count-accepted")).to_have_text("2")
