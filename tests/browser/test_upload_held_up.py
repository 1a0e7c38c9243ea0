"""What gets in the way of an upload while it runs: a network that is away, a sign-in that ends, a file that is gone."""

import re
from pathlib import Path

from playwright.sync_api import Page, Route, expect
from sqlalchemy import select

from screening.accounts import add_user, issue_sign_in_link
from screening.clock import utc_now
from screening.database.review_tables import Review
from tests.browser.conftest import Live, Watched
from tests.browser.portal import PATIENCE_MS, drop
from tests.browser.test_closing import complained as complained
from tests.installation import phantom_png

AWAY_MS = 9_000
SIGNED_OUT = "You are signed out. Sign in in another tab, then go on here."


def begin(page: Page, live: Live, seed: int, count: int) -> None:
    page.goto(f"{live.url}/runs/new")
    drop(page, {f"{n}.png": phantom_png(seed + n) for n in range(count)})
    expect(page.locator("#done")).to_contain_text(f"0 of {count} files")
    page.click("#start")


def test_an_upload_outlasts_a_network_that_is_away(live: Live, complained: Watched) -> None:
    page = complained.page
    sent = 0

    def break_off(route: Route) -> None:
        nonlocal sent
        sent += 1
        if sent == 3:
            page.context.set_offline(True)
        route.continue_()

    page.route("**/files", break_off)
    begin(page, live, 9500, 10)
    expect(page.locator("#speed")).to_have_text("waiting: the server does not answer; this page goes on by itself")
    page.wait_for_timeout(AWAY_MS)
    done = int(page.locator("#done").inner_text().split()[0])
    assert done < 10
    expect(page.locator("#legend")).to_contain_text("not sent 0")
    expect(page).to_have_title(re.compile(f"^{10 * done}% · "))
    page.unroute("**/files")
    page.context.set_offline(False)
    # The browser says when the network is back, and the pause of fifteen seconds is not waited for.
    expect(page.locator("#receipt")).to_be_visible(timeout=8000)
    expect(page.locator("#count-accepted")).to_have_text("10")


def test_a_server_that_is_away_is_waited_for(live: Live, complained: Watched) -> None:
    page = complained.page
    answers = [502, 503, 504, 502, 503, 504]

    def refuse(route: Route) -> None:
        if answers:
            route.fulfill(status=answers.pop(), content_type="text/html", body="<h1>Bad gateway</h1>")
        else:
            route.continue_()

    page.route("**/files", refuse)
    begin(page, live, 9520, 1)
    expect(page.locator("#speed")).to_have_text("waiting: the server does not answer; this page goes on by itself")
    while answers:
        # As if the connection came back, so that the growing pauses need not be waited for.
        page.evaluate("dispatchEvent(new Event('online'))")
        page.wait_for_timeout(50)
    expect(page.locator("#receipt")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("#count-accepted")).to_have_text("1")


def test_what_cannot_be_sent_is_not_counted_as_done(live: Live, complained: Watched, tmp_path: Path) -> None:
    page = complained.page
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(phantom_png(9530 + number))
    page.goto(f"{live.url}/runs/new")
    page.set_input_files("#files", sorted(tmp_path.glob("*.png")))
    expect(page.locator("#done")).to_contain_text("0 of 3 files")
    (tmp_path / "1.png").unlink()
    page.click("#start")
    expect(page.locator("#done")).to_contain_text("2 of 3 files, 1 not sent", timeout=PATIENCE_MS)
    expect(page.locator("#trouble")).to_have_text(
        "1 file was not sent: see the list. Send it again, or go on without it.", timeout=PATIENCE_MS
    )
    expect(page.locator("#list")).to_contain_text("not sent: This file cannot be read any more")
    expect(page).to_have_title(re.compile("^66% · "))
    bar = page.locator("#bar")
    whole, width = bar.get_attribute("viewBox"), bar.locator("rect").get_attribute("width")
    assert whole is not None and width is not None
    assert int(width) < int(whole.split()[2])
    page.click("#finish")
    expect(page.locator("#count-accepted")).to_have_text("2", timeout=PATIENCE_MS)


def test_an_upload_goes_on_after_a_new_sign_in(live: Live, complained: Watched) -> None:
    page = complained.page
    sent = 0

    def sign_out(route: Route) -> None:
        nonlocal sent
        sent += 1
        if sent >= 3:
            page.context.clear_cookies()  # more than once: an answer under way brings the cookie back
        route.continue_()

    page.route("**/files", sign_out)
    begin(page, live, 9540, 8)
    expect(page.locator("#trouble")).to_contain_text(SIGNED_OUT, timeout=PATIENCE_MS)
    expect(page.locator("#pause")).to_have_text("Go on")
    expect(page.locator("#legend")).to_contain_text("not sent 0")
    page.unroute("**/files")
    with page.context.expect_page() as opened:
        page.locator("#trouble a").click()
    other = opened.value
    expect(other).to_have_url(re.compile("/sign-in"))
    other.goto(live.link())
    other.wait_for_url(f"{live.url}/")
    other.close()
    page.click("#pause")
    expect(page.locator("#receipt")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("#trouble")).to_be_hidden()
    expect(page.locator("#count-accepted")).to_have_text("8")


def open_one(page: Page, live: Live, run_name: str, seed: int) -> None:
    """The viewer of the only scan of a run."""
    made = live.installation
    run = made.open_run(run_name)
    made.upload(run, "one.png", phantom_png(seed))
    made.submit(run)
    made.wait_complete(run)
    page.goto(f"{live.url}/worklist?run={run}")
    page.locator("a.open").first.click()
    expect(page.locator("#verdicts")).to_be_visible()
    page.wait_for_load_state("networkidle")


def test_a_viewer_goes_on_after_a_new_sign_in(live: Live, complained: Watched) -> None:
    page = complained.page
    open_one(page, live, "read over two sessions", 9560)
    page.context.clear_cookies()
    page.keyboard.press("u")
    expect(page.locator("#said-words")).to_have_text(
        "You are signed out. Nothing was recorded. Sign in in another tab, then go on here."
    )
    other = page.context.new_page()
    other.goto(live.link())
    other.wait_for_url(f"{live.url}/")
    other.close()
    page.keyboard.press("u")
    expect(page.locator("#said-words")).to_contain_text("Unsure:")


def test_who_signs_in_after_another_does_not_decide_in_the_page_of_the_other(live: Live, complained: Watched) -> None:
    page, made = complained.page, live.installation
    with made.system.database.write() as session:
        ben = add_user(session, utc_now(), "Ben Late", "reader", None, "tests")
        secret = issue_sign_in_link(session, utc_now(), ben, "tests")
    open_one(page, live, "read by two at one machine", 9570)
    page.context.clear_cookies()
    other = page.context.new_page()
    other.goto(f"{live.url}/sign-in/{secret}")
    other.wait_for_url(f"{live.url}/")
    other.close()
    page.keyboard.press("f")
    expect(page.locator("#said-words")).to_contain_text("Somebody else is signed in now. Nothing was changed.")
    with made.system.database.read() as session:
        assert session.scalars(select(Review).where(Review.reader == "Ben Late")).all() == []
