"""Bulk upload as it happens: hundreds of real files, broken off half-way, gone on with, without a duplicate."""

import base64
import csv
import hashlib
import io
import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Live, Watched
from tests.browser.portal import DROP, PATIENCE_MS, drop
from tests.installation import phantom_png

REAL_FILES = 300
PER_DROP = 50
LONG_MS = 180_000


@pytest.fixture(scope="module")
def radiographs(shared_data: Path) -> list[Path]:
    """X-rays of different contents: the data set has a few twins."""
    folder = shared_data / "fracatlas" / "images"
    different: dict[str, Path] = {}
    for file in sorted(folder.glob("*.jpg")):
        different.setdefault(hashlib.sha256(file.read_bytes()).hexdigest(), file)
        if len(different) == REAL_FILES:
            return list(different.values())
    if os.environ.get("CI") == "true":
        pytest.fail(f"{folder} has only {len(different)} X-rays, and CI must have {REAL_FILES}")
    pytest.skip(f"{folder} has only {len(different)} X-rays")


def drop_real(page: Page, files: list[Path]) -> None:
    """Drop files from the disk onto the page, fifty at a time."""
    for start in range(0, len(files), PER_DROP):
        part = files[start : start + PER_DROP]
        page.evaluate(DROP, [[base64.b64encode(file.read_bytes()).decode() for file in part], [f.name for f in part]])


def test_an_upload_is_broken_off_and_gone_on_with(live: Live, watched: Watched, radiographs: list[Path]) -> None:
    page, made = watched.page, live.installation
    let_through = REAL_FILES // 2
    sent = 0

    def pass_half(route: Route) -> None:
        nonlocal sent
        sent += 1
        if sent <= let_through:
            route.continue_()  # those after them are never answered, as where a connection hangs

    page.route("**/files", pass_half)
    page.goto(f"{live.url}/runs/new")
    page.fill("#name", "Archive of Ward 7")
    drop_real(page, radiographs)
    expect(page.locator("#done")).to_contain_text(f"0 of {REAL_FILES} files")
    page.click("#start")
    expect(page.locator("#legend")).to_contain_text(f"received {let_through} ·", timeout=LONG_MS)
    expect(page).to_have_title(re.compile(r"^50% · "))

    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(f"{live.url}/runs/new")
    page.unroute("**/files")
    unfinished = page.locator("#unfinished li", has_text="Archive of Ward 7")
    expect(unfinished).to_contain_text(f"{let_through} scans have arrived")
    unfinished.get_by_role("link").click()
    expect(page.locator("h1")).to_have_text("Add files to Archive of Ward 7")
    again: list[str] = []
    page.on("request", lambda request: again.append(request.url) if request.url.endswith("/files") else None)
    drop_real(page, radiographs)
    page.click("#start")
    expect(page.locator("#receipt")).to_be_visible(timeout=LONG_MS)
    expect(page.locator("#legend")).to_contain_text("rejected 0 · not sent 0")
    received, known = re.findall(r"\d+", page.locator("#legend").inner_text())[:2]
    assert int(received) + int(known) == REAL_FILES
    assert let_through <= int(known) <= let_through + 4, "of those on their way when the page closed, some may arrive"
    assert len(again) == int(received)

    # The receipt is of the whole run, whichever visit a file came in.
    assert [page.locator(f"#count-{status}").inner_text() for status in ("accepted", "duplicate", "rejected")] == [
        str(REAL_FILES),
        "0",
        "0",
    ]
    with page.expect_download() as download:
        page.click("#receipt-csv")
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text("utf-8"))))
    assert sorted(row["file_name"] for row in rows) == [file.name for file in radiographs]
    assert {row["status"] for row in rows} == {"accepted"}
    assert len({row["sha256"] for row in rows}) == REAL_FILES
    page.click("#open")
    run = int(page.url.rsplit("/", 1)[1])
    assert made.progress(run).total == REAL_FILES


def test_a_status_moves_without_a_reload_and_keeps_the_focus(live: Live, watched: Watched) -> None:
    page, made = watched.page, live.installation
    run = made.open_run("nothing comes")
    page.goto(f"{live.url}/runs/{run}")
    page.locator("#pause").focus()
    with page.expect_response(lambda answer: answer.url.endswith("/status"), timeout=PATIENCE_MS) as first:
        pass
    assert first.value.status == 304
    page.evaluate("document.getElementById('status').dataset.same = 'yes'")
    with page.expect_response(lambda answer: answer.url.endswith("/status"), timeout=PATIENCE_MS):
        pass
    assert page.locator("#status").get_attribute("data-same") == "yes", "what did not change is not replaced"
    loads: list[str] = []
    page.on("load", lambda _: loads.append(page.url))
    made.upload(run, "one.png", phantom_png(8100))
    expect(page.locator("#status")).to_contain_text("1 of 1 screened", timeout=PATIENCE_MS)
    assert page.locator("#status").get_attribute("data-same") is None
    assert page.evaluate("document.activeElement.id") == "pause"
    expect(page).to_have_title("100% · nothing comes")
    assert loads == []


def test_a_dropped_folder_is_walked_and_what_cannot_be_read_is_listed(live: Live, watched: Watched) -> None:
    page = watched.page
    page.goto(f"{live.url}/runs/new")
    found = page.evaluate(WALK, 10_000)
    assert found["count"] == 10_002
    assert found["largest"] <= 200
    assert found["names"] == ["archive/sub/locked.jpg", "archive/closed/"]
    assert found["litter"] == 0


def test_the_focus_goes_on_from_button_to_button(live: Live, watched: Watched) -> None:
    page = watched.page
    page.goto(f"{live.url}/runs/new")
    drop(page, {"one.png": phantom_png(8150)})
    expect(page.locator("#start")).to_be_enabled()
    page.route("**/files", lambda route: None)  # held until the focus was looked at
    page.locator("#start").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#pause")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#pause")).to_have_text("Go on")
    page.keyboard.press("Enter")
    expect(page.locator("#pause")).to_have_text("Pause")


def test_at_the_end_the_focus_is_on_the_way_to_the_run(live: Live, watched: Watched) -> None:
    page = watched.page
    page.goto(f"{live.url}/runs/new")
    drop(page, {"one.png": phantom_png(8151)})
    expect(page.locator("#start")).to_be_enabled()
    page.locator("#start").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#receipt")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("#open")).to_be_focused()


WALK = """
async (many) => {
  const { dropped } = await import("/static/js/upload/files.js");
  const file = (name) => ({ isFile: true, name, file: (resolve) => resolve(new File(["x"], name)) });
  const locked = { isFile: true, name: "locked.jpg", file: (_, reject) => reject(new Error("no")) };
  const folder = (name, inner) => ({
    isFile: false,
    name,
    createReader() {
      let at = 0; // as a browser does, a hundred at a time
      return { readEntries: (resolve) => resolve(inner.slice(at, (at += 100))) };
    },
  });
  const closed = { isFile: false, name: "closed", createReader: () => ({ readEntries: (_, reject) => reject(1) }) };
  const files = Array.from({ length: many }, (_, n) => file(`${n}.jpg`));
  const root = folder("archive", [folder("sub", [...files, locked, file("Thumbs.db")]), closed]);
  const all = [];
  let largest = 0;
  await dropped({ items: [{ webkitGetAsEntry: () => root }], files: [] }, (some) => {
    largest = Math.max(largest, some.length);
    all.push(...some);
  });
  return {
    count: all.length,
    largest,
    names: all.filter((one) => one.problem).map((one) => one.name),
    litter: all.filter((one) => one.name.endsWith("Thumbs.db")).length,
  };
}
"""
