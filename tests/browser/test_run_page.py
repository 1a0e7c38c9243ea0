"""The page of a run under the hands of its operator: asked about as often as needed, and moved to a lane on purpose."""

from playwright.sync_api import Request, expect

from tests.browser.conftest import Live, Watched

COME_BACK = """
() => {
  for (const hidden of [true, false]) {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }
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
