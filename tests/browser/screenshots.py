"""Takes a picture of every page, dark and light, of a real installation that has screened real X-rays.

    python -m tests.browser.screenshots [--data FOLDER_OF_JPEGS] [--files 120] [--into docs/images/pages]

Starts `screening up` in a temporary folder, sends the files, waits until they are screened, pauses a second run
half-way so that its page has something to show, and walks the pages by the application's own map of addresses.
"""

import argparse
import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from screening.accounts import find_user, issue_sign_in_link
from screening.checkpoints import register
from screening.clock import utc_now
from screening.inference.bundle import read_bundle
from screening.queue import QueueName
from screening.rescreening.candidates import nominate
from screening.rescreening.opening import open_over_archive
from screening.rescreening.schedules import Plan, add_schedule
from screening.rescreening.selection import Selection
from screening.runs.intake import take_in
from screening.runs.lifecycle import get_run, open_run, pause_run, submit_run
from screening.runs.progress import progress_of
from screening.settings import Settings
from screening.supervisor.folder import DataFolder
from screening.supervisor.installation import OPERATOR
from screening.system import System, open_system
from tests.browser.conftest import CHROMIUM
from tests.browser.pages import every_page, is_page, values_of
from tests.conftest import ROOT, free_port
from web import create_app

SIZE = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
ON_A_PHONE = ("worklist-pages.worklist", "scan-pages.scan", "runs-pages.run")
QUALITY = 72
PATIENCE_S = 600
HALF_DONE = 0.15
"""Batches that are under way when the run is paused are finished, so it is paused early."""


@contextmanager
def running(folder: Path, port: int) -> Iterator[str]:
    """A whole installation; yields its address."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SCREENING_")}
    command = [Path(sys.executable).with_name("screening"), "up", "--port", str(port), "--data", str(folder)]
    log = folder.with_suffix(".log")
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=out)
    try:
        wait_for(lambda: ready(port, process), "the installation did not become ready; see " + str(log))
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def ready(port: int, process: "subprocess.Popen[bytes]") -> bool:
    if process.poll() is not None:
        raise SystemExit("The installation ended by itself.")
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2):
            return True
    except OSError:
        return False


def wait_for(condition, what: str) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"Not within {PATIENCE_S} s: {what}.")
        time.sleep(0.3)


def system_of(folder: Path) -> System:
    """The running installation, as its own processes see it."""
    resolved = DataFolder(folder).kept_environment()
    names = {name.removeprefix("SCREENING_").lower(): value for name, value in resolved.items()}
    return open_system(Settings(**names))  # type: ignore[arg-type]


def send(system: System, name: str, files: list[Path], lane: str = "routine") -> int:
    with system.database.write() as session:
        run = open_run(session, utc_now(), name, lane, OPERATOR).id
    for file in files:
        with system.storage.receive() as incoming:
            incoming.write(file.read_bytes())
            take_in(system, run, file.name, incoming)
    with system.database.write() as session:
        submit_run(session, utc_now(), run, OPERATOR)
    return run


def done(system: System, run: int) -> float:
    """Which share of a run has ended."""
    with system.database.read() as session:
        found = get_run(session, run)
        progress = progress_of(session, utc_now(), found)
    return 1 if found.finished_at else (progress.total - progress.unfinished) / max(progress.total, 1)


def try_candidate(system: System) -> int:
    """Register the released int8 form as the candidate and have it screen what is there; returns that run."""
    [folder] = (path for path in system.settings.checkpoint_dir.iterdir() if path.is_dir())
    identity, _ = register(system.database, system.storage, utc_now(), read_bundle(folder), "int8", OPERATOR)
    with system.database.write() as session:
        chosen = nominate(session, utc_now(), identity, OPERATOR)
        opened = open_over_archive(session, utc_now(), "The archive again, int8", chosen, Selection(), None, OPERATOR)
        assert opened is not None
    system.waker.wake(QueueName.SCREEN)
    return opened.run_id


def furnish(system: System, data: Path, count: int) -> int:
    """Runs, a candidate and a schedule; returns the run that stands half-way."""
    pictures = sorted(data.glob("*.jpg"))[: 3 * count]
    damaged = sorted((data.parent / "damaged").glob("*.jpg"))[:2]
    first = send(system, "Ward 7, archive 2024", [*pictures[:count], *damaged])
    wait_for(lambda: done(system, first) == 1, "the first run complete")
    again = try_candidate(system)
    wait_for(lambda: done(system, again) == 1, "the archive screened by the candidate")
    with system.database.write() as session:
        plan = Plan("Every night", "0 22 * * *", "Europe/Berlin", "06:00", selection={"min_age_days": 30})
        add_schedule(session, utc_now(), plan, OPERATOR)
        open_run(session, utc_now(), "Emergency room, Friday", "urgent", OPERATOR)
    second = send(system, "Emergency room, Thursday", pictures[count:], "urgent")
    wait_for(lambda: done(system, second) >= HALF_DONE, "the second run half-way")
    if done(system, second) < 1:
        with system.database.write() as session:
            pause_run(session, utc_now(), second, OPERATOR)
    return second


def take(browser: Browser, base: str, link: str, pages: dict[str, str], into: Path) -> None:
    context = browser.new_context(viewport=SIZE)
    page = context.new_page()
    page.goto(link)
    page.wait_for_url(f"{base}/")
    for theme in ("dark", "light"):
        context.add_cookies([{"name": "theme", "value": theme, "url": base}])
        for endpoint, path in pages.items():
            answer = page.request.get(f"{base}{path}")
            if not answer.ok or not is_page(answer):
                continue
            page.goto(f"{base}{path}")
            for width, name in ((SIZE, ""), (PHONE, "-phone")):
                if name and (endpoint not in ON_A_PHONE or theme != "dark"):
                    continue
                page.set_viewport_size(width)  # type: ignore[arg-type]
                page.wait_for_load_state("networkidle")
                target = (
                    into / f"{endpoint.replace('-pages', '').replace('.', '-').replace('_', '-')}{name}-{theme}.webp"
                )
                Image.open(io.BytesIO(page.screenshot())).save(target, quality=QUALITY, method=6)
            page.set_viewport_size(SIZE)  # type: ignore[arg-type]
    context.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    shared = Path(os.environ.get("SCREENING_TEST_DATA", ROOT.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=shared / "fracatlas" / "images")
    parser.add_argument("--files", type=int, default=120)
    parser.add_argument("--into", type=Path, default=ROOT / "docs" / "images" / "pages")
    given = parser.parse_args()
    if not given.data.is_dir():
        raise SystemExit(f"{given.data} is not there. Name a folder of X-rays as JPEG files with --data.")
    folder = Path(tempfile.mkdtemp(prefix="screenshots-"))
    port = free_port()
    try:
        with running(folder / "data", port) as base:
            system = system_of(folder / "data")
            half_way = furnish(system, given.data, given.files)
            with system.database.write() as session:
                operator = find_user(session, OPERATOR)
                assert operator is not None
                link = f"{base}/sign-in/{issue_sign_in_link(session, utc_now(), operator, OPERATOR)}"
            pages, unknown = every_page(create_app(system), values_of(system))
            pages["runs-pages.half-way"] = f"/runs/{half_way}"
            for rule in unknown:
                print(f"No picture of {rule}: tests/browser/pages.py has no value for it.")
            shutil.rmtree(given.into, ignore_errors=True)
            given.into.mkdir(parents=True)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-dev-shm-usage"]
                )
                take(browser, base, link, pages, given.into)
                browser.close()
            system.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    taken = sorted(given.into.glob("*.webp"))
    print(f"{len(taken)} pictures, {sum(path.stat().st_size for path in taken) / 1e6:.1f} MB, in {given.into}")


if __name__ == "__main__":
    main()
