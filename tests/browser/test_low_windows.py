"""Windows that are low, long names and paper: the picture keeps its room, filters their line, and text its colour."""

import pytest

from tests.browser.conftest import Live, Watched
from tests.installation import phantom_png

SEEN = """
() => {
  const stage = document.querySelector(".stage").getBoundingClientRect();
  const desk = document.querySelector(".desk").getBoundingClientRect();
  return Math.min(stage.bottom, desk.top, innerHeight) - Math.max(stage.top, 0);
}
"""


@pytest.fixture(scope="module")
def read(live: Live) -> int:
    made = live.installation
    run = made.open_run("an archive of a ward with a name that goes on and on " * 2)
    made.upload(run, "one.png", phantom_png(15_000))
    made.submit(run)
    made.wait_complete(run)
    return run


@pytest.mark.parametrize(("width", "height"), [(844, 390), (720, 450)])
def test_the_picture_has_most_of_a_low_window(live: Live, watched: Watched, read: int, width: int, height: int) -> None:
    page = watched.page
    page.set_viewport_size({"width": width, "height": height})
    page.goto(f"{live.url}/worklist?run={read}")
    page.locator("a.open").first.click()
    page.locator("#verdicts").wait_for()
    assert page.evaluate(SEEN) >= 0.55 * height
    boxes = [button.bounding_box() for button in page.locator("#verdicts button").all()]
    assert len({box and box["y"] for box in boxes}) == 1
    assert all(box and box["x"] + box["width"] <= width and box["y"] + box["height"] <= height for box in boxes)


def test_filters_stand_in_one_line_though_a_run_has_a_long_name(live: Live, watched: Watched, read: int) -> None:
    page = watched.page
    page.goto(f"{live.url}/worklist")
    fields = [field.bounding_box() for field in page.locator(".filters .field").all()]
    feet = [box["y"] + box["height"] for box in fields if box]
    assert max(feet) - min(feet) < 4
    run = page.locator("#run")
    field, select = page.locator(".filters .field", has=run).bounding_box(), run.bounding_box()
    assert field is not None and select is not None
    assert field["width"] <= select["width"] + 1


def test_paper_has_dark_text_whichever_theme_the_screen_has(live: Live, watched: Watched, read: int) -> None:
    page = watched.page
    page.goto(f"{live.url}/runs/{read}")
    assert page.locator("html").get_attribute("data-theme") == "dark"
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
