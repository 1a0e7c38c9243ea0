"""How much of a core the web processes use while many pages of runs are open, each polled as its own script polls.

    python benchmarks/polling.py [--pages 100] [--runs 100] [--jobs 1000] [--seconds 30] [--moving]

The runs are made up; `--moving` ends jobs of the first one all the while, as a worker would. Every page keeps its ETag,
waits as long as its data-poll says, and half as long again after each answer that nothing changed, up to 15 seconds; it
is measured once the pages have been open for a minute.
"""

# ruff: noqa: T201  what it prints is its result

import argparse
import heapq
import re
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import timedelta

import psutil
from portal_server import Portal, portal
from sqlalchemy import insert, update

from screening.accounts import issue_token
from screening.clock import utc_now
from screening.database.engine import Database
from screening.database.states import Lane
from screening.database.tables import Job, Prediction, Run, Scan

PORT = 8765
SLOWEST_S = 15.0
OPEN_FOR_S = 60.0
CHANGES_PER_S = 5


@dataclass
class Page:
    run: int
    tag: str = ""
    wait_s: float = 2.0


def fill(database: Database, runs: int, jobs: int) -> None:
    """Runs under way, half of their jobs screened an hour ago."""
    for number in range(1, runs + 1):
        fill_run(database, number, [f"{number:08x}{n:024x}" for n in range(jobs)])


def fill_run(database: Database, number: int, scans: list[str]) -> None:
    then = utc_now() - timedelta(hours=1)
    scan_rows = [
        {
            "id": scan,
            "sha256": scan * 2,
            "size_bytes": 1,
            "media_type": "image/png",
            "file_name": scan,
            "received_at": then,
            "facts": {},
        }
        for scan in scans
    ]
    prediction_rows = [
        {
            "scan_id": scan,
            "checkpoint_id": "c",
            "probability": n / len(scans),
            "activation_map": b"",
            "engine": "e",
            "worker": "w",
            "created_at": then,
        }
        for n, scan in enumerate(scans)
    ]
    job_rows = [
        {
            "run_id": number,
            "scan_id": scan,
            "file_name": scan,
            "state": "screened" if n % 2 else "queued",
            "attempts": 0,
            "created_at": then,
            "finished_at": then if n % 2 else None,
        }
        for n, scan in enumerate(scans)
    ]
    run = {"id": number, "name": f"run {number}", "lane": Lane.ROUTINE, "state": "running", "checkpoint_id": "c"}
    with database.write() as session:
        session.execute(insert(Run).values(**run, created_by="benchmark", created_at=then, submitted_at=then))
        session.execute(insert(Scan), scan_rows)
        session.execute(insert(Prediction), prediction_rows)
        session.execute(insert(Job), job_rows)


def ask(page: Page, url: str, token: str) -> int:
    """One poll of a page; it learns how long to wait until the next."""
    headers = {"Authorization": f"Bearer {token}", **({"If-None-Match": page.tag} if page.tag else {})}
    request = urllib.request.Request(f"{url}/runs/{page.run}/status", headers=headers)  # noqa: S310
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


def watch(given: argparse.Namespace, served: Portal, token: str) -> None:
    pages = [Page(1 + n % given.runs) for n in range(given.pages)]
    begun = time.monotonic()
    # Pages are opened at different moments, as people do.
    due = [(begun + 2 * n / given.pages, n) for n in range(given.pages)]
    process = psutil.Process(served.pid)
    answers = {200: 0, 304: 0}
    before, measured_from, ended = 0.0, 0.0, 0
    while time.monotonic() < begun + OPEN_FOR_S + given.seconds:
        at, number = heapq.heappop(due)
        time.sleep(max(0.0, at - time.monotonic()))
        if given.moving and time.monotonic() - begun > ended / CHANGES_PER_S:
            end_some_jobs(served.database, ended)
            ended += CHANGES_PER_S
        if not measured_from and time.monotonic() > begun + OPEN_FOR_S:
            before, measured_from, answers = cpu_s(process), time.monotonic(), {200: 0, 304: 0}
        answers[ask(pages[number], served.url, token)] += 1
        heapq.heappush(due, (time.monotonic() + pages[number].wait_s, number))
    seconds = time.monotonic() - measured_from
    used = cpu_s(process) - before
    polls = sum(answers.values())
    print(
        f"{given.pages} pages of {given.runs} runs with {given.jobs:,} jobs each{', one moving' * given.moving}: "
        f"{polls / seconds:.1f} polls/s, {answers[304]} of {polls} answered 304, "
        f"{100 * used / seconds:.1f}% of a core, {1000 * used / max(polls, 1):.2f} ms of CPU each"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pages", type=int, default=100)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--moving", action="store_true")
    given = parser.parse_args()
    with portal(PORT) as served:
        fill(served.database, given.runs, given.jobs)
        with served.database.write() as session:
            token = issue_token(session, utc_now(), served.person, "benchmark", "benchmark")
        watch(given, served, token)


if __name__ == "__main__":
    main()
