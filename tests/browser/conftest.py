"""The whole system with real workers behind a real server, and Debian's Chromium before it."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

from screening.accounts import Identity, add_user, issue_sign_in_link
from screening.clock import utc_now
from tests.bundles import make_random_bundle
from tests.conftest import ROOT, free_port
from tests.installation import Installation, installation

CHROMIUM = Path("/usr/bin/chromium")
READY_WITHIN_S = 60


@dataclass
class Live:
    """A running portal with an administrator who may sign in by link."""

    url: str
    installation: Installation
    person: Identity

    def link(self) -> str:
        """A fresh one-time sign-in link."""
        with self.installation.system.database.write() as session:
            return f"{self.url}/sign-in/{issue_sign_in_link(session, utc_now(), self.person, self.person.name)}"


@dataclass
class Watched:
    """A page, and what its browser complained about."""

    page: Page
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="package")
def live(sqlite_template: Path, redis_server: str) -> Iterator[Live]:
    folder = Path(tempfile.mkdtemp(prefix="portal-"))
    shutil.copy(sqlite_template, folder / "screening.db")
    bundle = make_random_bundle(folder / "random", side=64)
    port = free_port()
    changes = {"port": port, "web_workers": 1, "max_file_mb": 20}
    url = f"http://127.0.0.1:{port}"
    database_url = f"sqlite:///{folder}/screening.db"
    with installation(folder / "data", database_url, f"{redis_server}/1", bundle, **changes) as made:
        with made.system.database.write() as session:
            person = add_user(session, utc_now(), "Zoë Keeper", "administrator", None, "tests")
        made.start_all()
        with (folder / "web.log").open("wb") as log:
            server = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "-c", "python:web.gunicorn_conf", "web.wsgi:app"],
                cwd=ROOT,
                env={**os.environ, **made.environment},
                stdout=log,
                stderr=log,
            )
        try:
            _wait_until_ready(url, server, folder / "web.log")
            yield Live(url, made, person)
        finally:
            server.terminate()
            server.wait(30)
    shutil.rmtree(folder, ignore_errors=True)


def _wait_until_ready(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while True:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:
                assert json.load(answer)["status"] == "ready"
                return
        except (OSError, urllib.error.URLError):
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the portal is not ready: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.2)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{CHROMIUM} is missing, and CI must have it")
        pytest.skip(f"{CHROMIUM} is not installed (Debian's package `chromium`)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@pytest.fixture
def watched(live: Live, chromium: Browser) -> Iterator[Watched]:
    """A fresh browser window that is signed in, and fails the test for any console error or foreign request."""
    context: BrowserContext = chromium.new_context(viewport={"width": 1280, "height": 800})
    watched = Watched(context.new_page())
    watch(watched, live.url)
    watched.page.goto(live.link())
    watched.page.wait_for_url(f"{live.url}/")
    yield watched
    context.close()
    assert watched.complaints == []


def watch(watched: Watched, url: str) -> None:
    page, complaints = watched.page, watched.complaints

    def hear(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(f"{message.text} ({message.location.get('url', '')})")

    def see(request: Request) -> None:
        if not request.url.startswith((f"{url}/", "blob:", "data:")):
            complaints.append(f"a request to another host: {request.url}")

    page.on("console", hear)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", see)
