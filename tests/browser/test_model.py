"""The model page in a browser: the slider tells what a threshold means, and putting it in force ranks lists anew."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from screening import checkpoints
from screening.clock import utc_now
from tests.browser.conftest import Live, Watched
from tests.browser.pages import STICKS_OUT
from tests.browser.portal import screened


def test_the_slider_puts_another_threshold_in_force_with_a_reason(live: Live, watched: Watched) -> None:
    page = watched.page
    screened(live, watched, "for the slider", 7500)
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(f"{live.url}/model")
    slider = page.locator("#choice-range")
    words = page.locator("#choice-words")
    expect(words).to_contain_text("as many reads a day")
    expect(page.locator("#choice-list")).to_be_hidden()
    at_first = page.locator("#threshold").input_value()
    slider.focus()
    page.keyboard.press("End")
    page.keyboard.press("Home")
    chosen = page.locator("#threshold").input_value()
    if chosen == at_first:
        page.keyboard.press("End")
        chosen = page.locator("#threshold").input_value()
    assert chosen != at_first
    assert "Flag" in (slider.get_attribute("aria-valuetext") or "")
    page.fill("#reason", "a trial of the slider")
    page.get_by_role("button", name="Put in force").click()
    expect(page.get_by_role("status")).to_contain_text("in force now")
    assert page.locator("#threshold").input_value() == chosen
    page.goto(f"{live.url}/system/audit")
    expect(page.locator("main")).to_contain_text("a trial of the slider")
    # The other tests of this session go on with the threshold that they know.
    page.goto(f"{live.url}/model")
    page.locator("#threshold").evaluate("(list, value) => { list.value = value; }", at_first)
    page.fill("#reason", "the trial is over")
    page.get_by_role("button", name="Put in force").click()
    expect(page.get_by_role("status")).to_contain_text("in force now")


def test_a_threshold_that_is_not_offered_is_told_and_nothing_is_chosen_for_it(live: Live, watched: Watched) -> None:
    page, system = watched.page, live.installation.system

    def put_in_force(threshold: float, likely: float) -> None:
        with system.database.write() as session:
            active = checkpoints.active(session).id
            checkpoints.set_operating_point(session, utc_now(), active, threshold, likely, "a test", "tests")

    with system.database.read() as session:
        former = checkpoints.operating_point(session, checkpoints.active(session).id)
    put_in_force(0.0123, former.likely_threshold)
    page.goto(f"{live.url}/model")
    expect(page.locator("#choice-other")).to_contain_text("0.013, is none of those offered here.")
    expect(page.locator("#choice-words")).to_be_hidden()
    slider, apply = page.locator("#choice-range"), page.get_by_role("button", name="Put in force")
    assert slider.input_value() == slider.get_attribute("max"), "it stands at the lowest threshold, the nearest one"
    assert page.locator("#threshold").input_value() == ""
    expect(apply).to_be_disabled()
    slider.focus()
    page.keyboard.press("Home")
    expect(page.locator("#choice-words")).to_contain_text("Flag")
    assert page.locator("#threshold").input_value() != ""
    expect(apply).to_be_enabled()
    # The other tests of this session go on with the threshold that they know.
    put_in_force(former.threshold, former.likely_threshold)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_model_page_is_accessible_and_fits_a_phone(live: Live, watched: Watched, theme: str) -> None:
    page = watched.page
    page.context.add_cookies([{"name": "theme", "value": theme, "url": live.url}])
    page.goto(f"{live.url}/model?days=all")
    serious = [
        f"{violation['id']} at {[node['target'] for node in violation['nodes'][:3]]}"
        for violation in Axe().run(page).response["violations"]
        if violation["impact"] in ("serious", "critical")
    ]
    assert serious == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate(STICKS_OUT) == []
