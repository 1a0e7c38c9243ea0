"""The page of a run under the hands of its operator: asked about as often as needed, and moved to a lane on purpose."""

from playwright.sync_api import Request, expect

from tests.browser.conftest import Live, Watched
from tests.browser.portal import PATIENCE_MS
from tests.installation import phantom_png

COME_BACK = """
() => {
  for (const hidden of [true, false]) {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }
}
"""

PLACES = """
() => {
  const box = (id) => document.getElementById(id).getBoundingClientRect();
  return ["worklist", "add", "submit", "pause", "cancel"].map((id) => [box(id).x, box(id).y, box(id).width]);
}
"""


def test_who_comes_back_to_the_page_often_does_not_make_it_ask_more_often(live: Live, watched: Watched) -> None:
    page = watched.page
    page.goto(f"{live.url}/runs/{live.installation.open_run('looked at again and again')}")
    for _ in range(20):
        with page.expect_response(lambda answer: answer.url.endswith("/status")):
            page.evaluate(COME_BACK)
    asked: list[str] = []

    def count(request: Request) -> None:
        if request.url.endswith("/status"):
            asked.append(request.url)

    page.on("request", count)
    # By now it asks every fifteen seconds, and timers that were left behind would have run out within them.
    page.wait_for_timeout(17_000)
    assert 1 <= len(asked) <= 2


def test_arrow_keys_look_through_the_lanes_and_the_button_chooses(live: Live, watched: Watched) -> None:
    page = watched.page
    page.goto(f"{live.url}/runs/{live.installation.open_run('in no hurry')}")
    posts: list[str] = []
    page.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)
    page.locator("#lane").focus()
    page.keyboard.press("ArrowUp")
    expect(page.locator("#lane")).to_have_value("urgent")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#lane")).to_have_value("archive")
    assert posts == []
    page.get_by_role("button", name="Change lane").click()
    expect(page.locator("#status")).to_contain_text("Archive lane")
    assert len(posts) == 1


def test_nothing_moves_when_the_first_result_comes_and_a_focused_link_keeps_the_focus(
    live: Live, watched: Watched
) -> None:
    page, made = watched.page, live.installation
    run = made.open_run("the first result")
    page.goto(f"{live.url}/runs/{run}")
    expect(page.locator("#worklist")).to_be_disabled()
    before = page.evaluate(PLACES)
    made.upload(run, "one.png", phantom_png(8200))
    expect(page.locator("a#worklist")).to_be_visible(timeout=PATIENCE_MS)
    assert page.evaluate(PLACES) == before
    made.upload(run, "text.jpg", b"text")
    expect(page.locator("#rejected")).to_have_text("1 rejected on arrival", timeout=PATIENCE_MS)
    page.locator("#receipts").focus()
    link = page.locator("[id^='first-']").first
    focused = "receipts"
    if link.count():
        link.focus()
        focused = link.get_attribute("id") or ""
    page.evaluate("document.getElementById('status').dataset.same = 'yes'")
    made.upload(run, "two.png", phantom_png(8201))
    expect(page.locator("#status:not([data-same])")).to_contain_text("2 of 2 screened", timeout=PATIENCE_MS)
    assert page.evaluate("document.activeElement.id") == focused
