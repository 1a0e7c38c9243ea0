"""The upload page with thousands of files chosen at once: its longest task, and how much memory the tab takes.

    python benchmarks/upload_page.py [--files 10000] [--kilobytes 40] [--seconds 60]

Real Chromium before the portal; the files are made up, lie on the disk, and are chosen as a person chooses them. It is
measured from the moment of choosing until the given time of uploading is over.
"""

# ruff: noqa: T201  what it prints is its result

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from portal_server import Portal, portal

from screening.accounts import issue_sign_in_link
from screening.clock import utc_now

PORT = 8766
CHROMIUM = "/usr/bin/chromium"
PATIENCE_MS = 120_000
WATCH = """
globalThis.tasks = [];
globalThis.chosenAt = 0;
new PerformanceObserver((list) => globalThis.tasks.push(...list.getEntries())).observe({ type: "longtask" });
document.addEventListener("change", () => (globalThis.chosenAt = performance.now()), { capture: true, once: true });
globalThis.longest = () => Math.max(0, ...globalThis.tasks.map((task) => task.duration));
globalThis.over = () => globalThis.tasks.filter((task) => task.duration > 200).length;
globalThis.longestAfterChoice = () =>
  Math.max(0, ...globalThis.tasks.map((task) => task.startTime + task.duration - Math.max(task.startTime, chosenAt)));
"""
"""The browser makes its list of files before it says that they were chosen, in the same task; what comes after is the
page's own."""


def make_files(folder: Path, count: int, size: int) -> None:
    head = bytes.fromhex(
        "ffd8ffe000104a46494600010100000100010000"
    )  # a JPEG by its first bytes, which is what is looked at
    for number in range(count):
        (folder / f"IMG_{number:05}.jpg").write_bytes(head + os.urandom(size - len(head)))


def upload(page: Page, served: Portal, folder: Path, seconds: float) -> None:
    with served.database.write() as session:
        secret = issue_sign_in_link(session, utc_now(), served.person, "benchmark")
    page.goto(f"{served.url}/sign-in/{secret}")
    page.wait_for_url(f"{served.url}/")
    page.goto(f"{served.url}/runs/new")
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable")
    page.evaluate(WATCH)

    def heap() -> float:
        metrics = devtools.send("Performance.getMetrics")["metrics"]
        return float(next(one["value"] for one in metrics if one["name"] == "JSHeapUsedSize")) / 1e6

    page.set_input_files("#files", sorted(folder.iterdir()))
    said = f"0 of {len(list(folder.iterdir())):,} files"
    page.wait_for_function(
        "said => document.getElementById('done').textContent.startsWith(said)", arg=said, timeout=PATIENCE_MS
    )
    print(
        f"listed: {page.inner_text('#done')}; longest task {page.evaluate('longest()'):.0f} ms, the page's own part "
        f"{page.evaluate('longestAfterChoice()'):.0f} ms at most"
    )
    page.evaluate("tasks.length = 0")
    page.click("#start")
    largest, begun = heap(), time.monotonic()
    while time.monotonic() < begun + seconds and page.locator("#receipt").is_hidden():
        page.wait_for_timeout(2000)
        largest = max(largest, heap())
    print(
        f"after {time.monotonic() - begun:.0f} s: {page.inner_text('#done')}, {page.inner_text('#speed')}; longest "
        f"task {page.evaluate('longest()'):.0f} ms, {page.evaluate('over()')} over 200 ms; heap {largest:.1f} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--kilobytes", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=60)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="files-"))
    try:
        make_files(folder, given.files, 1000 * given.kilobytes)
        with portal(PORT) as served, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
            )
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.on("dialog", lambda dialog: dialog.accept())
            upload(page, served, folder, given.seconds)
            browser.close()
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
