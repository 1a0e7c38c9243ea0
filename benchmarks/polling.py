"""How much of a core the web processes use while many pages of runs are open, each polled as its own script polls.

    python benchmarks/polling.py [--pages 100] [--runs 100] [--jobs 1000] [--seconds 30] [--moving]

Starts the portal as it is deployed (gunicorn) on SQLite, without workers, over runs that are made up; `--moving` ends
jobs of the first run all the while, as a worker would. Every page keeps its ETag, waits as long as the page's data-poll
says, and half as long again after each answer that nothing changed, up to 15 seconds.
"""

# ruff: noqa: T201  what it prints is its result

import argparse
import heapq
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psutil
from sqlalchemy import insert, update

from screening.accounts import add_user, issue_token
from screening.clock import utc_now
from screening.database.engine import Database
from screening.database.migrate import upgrade
from screening.database.states import Lane
from screening.database.tables import Checkpoint, Job, OperatingPointChange, Prediction, Run, Scan

PORT = 8765
SLOWEST_S = 15.0
WARM_UP_S = 5.0
CHANGES_PER_S = 5


@dataclass
class Page:
    run: int
    tag: str = ""
    wait_s: float = 2.0


def fill(database: Database, runs: int, jobs: int) -> str:
    """Runs under way, half of their jobs screened an hour ago; returns an API token."""
    now = utc_now() - timedelta(hours=1)
    with database.write() as session:
        session.add(
            Checkpoint(id="c", name="c", form="fp32", active=True, rendition_spec="s", card={}, registered_at=now)
        )
        session.flush()
        session.add(
            OperatingPointChange(
                checkpoint_id="c",
                name="p",
                threshold=0.5,
                likely_threshold=0.8,
                reason="benchmark",
                set_by="benchmark",
                set_at=now,
            )
        )
        for number in range(1, runs + 1):
            scans = [f"{number:08x}{n:024x}" for n in range(jobs)]
            session.execute(
                insert(Scan),
                [
                    {
                        "id": scan,
                        "sha256": scan * 2,
                        "size_bytes": 1,
                        "media_type": "image/png",
                        "file_name": scan,
                        "received_at": now,
                        "facts": {},
                    }
                    for scan in scans
                ],
            )
            session.execute(
                insert(Prediction),
                [
                    {
                        "scan_id": scan,
                        "checkpoint_id": "c",
                        "probability": n / jobs,
                        "activation_map": b"",
                        "engine": "e",
                        "worker": "w",
                        "created_at": now,
                    }
                    for n, scan in enumerate(scans)
                ],
            )
            session.execute(
                insert(Run).values(
                    id=number,
                    name=f"run {number}",
                    lane=Lane.ROUTINE,
                    state="running",
                    checkpoint_id="c",
                    created_by="benchmark",
                    created_at=now,
                    submitted_at=now,
                )
            )
            session.execute(
                insert(Job),
                [
                    {
                        "run_id": number,
                        "scan_id": scan,
                        "file_name": scan,
                        "state": "screened" if n % 2 else "queued",
                        "attempts": 0,
                        "created_at": now,
                        "finished_at": now if n % 2 else None,
                    }
                    for n, scan in enumerate(scans)
                ],
            )
        person = add_user(session, utc_now(), "benchmark", "operator", None, "benchmark")
        return issue_token(session, utc_now(), person, "benchmark")


def ask(page: Page, token: str) -> int:
    """One poll of a page; it learns how long to wait until the next."""
    headers = {"Authorization": f"Bearer {token}", **({"If-None-Match": page.tag} if page.tag else {})}
    request = urllib.request.Request(f"http://127.0.0.1:{PORT}/runs/{page.run}/status", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            body = answer.read().decode()
            page.tag = answer.headers["ETag"]
    except urllib.error.HTTPError as error:
        if error.code != 304:
            raise
        page.wait_s = min(page.wait_s * 1.5, SLOWEST_S)
        return 304
    found = re.search(r'data-poll="([\d.]+)"', body)
    page.wait_s = float(found.group(1)) if found else SLOWEST_S
    return 200


def cpu_s(process: psutil.Process) -> float:
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return sum(one.user + one.system for one in times)


def end_some_jobs(database: Database, ended: int) -> None:
    with database.write() as session:
        session.execute(
            update(Job)
            .where(Job.run_id == 1, Job.id.in_(range(2 * ended + 1, 2 * (ended + CHANGES_PER_S) + 1)))
            .values(state="screened", finished_at=utc_now())
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pages", type=int, default=100)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--moving", action="store_true")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="polling-"))
    url = f"sqlite:///{folder}/screening.db"
    upgrade(url)
    database = Database(url)
    token = fill(database, given.runs, given.jobs)
    environment = {
        "SCREENING_DATA_DIR": str(folder),
        "SCREENING_DATABASE_URL": url,
        "SCREENING_REDIS_URL": "redis://127.0.0.1:1/0",
        "SCREENING_SECRET_KEY": "benchmark" * 5,
        "SCREENING_PORT": str(PORT),
        "SCREENING_WEB_WORKERS": "1",
    }
    command = [sys.executable, "-m", "gunicorn", "-c", "python:web.gunicorn_conf", "web.wsgi:app"]
    server = subprocess.Popen(command, env={**os.environ, **environment}, stderr=subprocess.DEVNULL)
    try:
        wait_until_up(server)
        watch(given, server, database, token)
    finally:
        server.terminate()
        server.wait(30)
        database.dispose()
        shutil.rmtree(folder)


def wait_until_up(server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/healthz", timeout=2):
                return
        except OSError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("The portal did not start.") from None
            time.sleep(0.2)


def watch(given: argparse.Namespace, server: "subprocess.Popen[bytes]", database: Database, token: str) -> None:
    pages = [Page(1 + n % given.runs) for n in range(given.pages)]
    begun = time.monotonic()
    # Pages are opened at different moments, as people do.
    due = [(begun + 2 * n / given.pages, n) for n in range(given.pages)]
    heapq.heapify(due)
    process = psutil.Process(server.pid)
    answers = {200: 0, 304: 0}
    before, measured_from, ended = 0.0, 0.0, 0
    while time.monotonic() < begun + WARM_UP_S + given.seconds:
        at, number = heapq.heappop(due)
        time.sleep(max(0.0, at - time.monotonic()))
        if given.moving and time.monotonic() - begun > ended / CHANGES_PER_S:
            end_some_jobs(database, ended)
            ended += CHANGES_PER_S
        if not measured_from and time.monotonic() > begun + WARM_UP_S:
            before, measured_from, answers = cpu_s(process), time.monotonic(), {200: 0, 304: 0}
        answers[ask(pages[number], token)] += 1
        heapq.heappush(due, (time.monotonic() + pages[number].wait_s, number))
    seconds = time.monotonic() - measured_from
    used = cpu_s(process) - before
    polls = sum(answers.values())
    moving = ", one moving" if given.moving else ""
    print(
        f"{given.pages} pages of {given.runs} runs with {given.jobs:,} jobs each{moving}: "
        f"{polls / seconds:.1f} polls/s, {answers[304]} of {polls} answered 304, "
        f"{100 * used / seconds:.1f}% of a core, {1000 * used / max(polls, 1):.2f} ms of CPU each"
    )


if __name__ == "__main__":
    main()
