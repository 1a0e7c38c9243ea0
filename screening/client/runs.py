"""What clients ask about runs and the worklist."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from screening.client.http import Connection

POLL_EVERY_S = 1.0
LONGEST_PAUSE_S = 15.0
LARGEST_PAGE = 500
_ENDED = ("complete", "cancelled")

Document = dict[str, Any]


def open_run(connection: Connection, name: str, lane: str) -> Document:
    return connection.post("/api/v1/runs", {"name": name, "lane": lane}, again_after_doubt=False)


def submit_run(connection: Connection, run_id: int) -> Document:
    connection.post(f"/api/v1/runs/{run_id}/submit")
    return get_run(connection, run_id)


def get_run(connection: Connection, run_id: int) -> Document:
    return connection.get(f"/api/v1/runs/{run_id}")


def watch_run(connection: Connection, run_id: int, note: Callable[[Document], None]) -> Document:
    """Ask until the run has ended, telling `note` of each answer. Returns the last one.

    Once a second, or more seldom where an answer takes long: counting a run of a million scans is work for the server,
    and nobody who watches is to keep it busy for more than a tenth of the time.
    """
    while True:
        asked = time.monotonic()
        run = get_run(connection, run_id)
        took = time.monotonic() - asked
        note(run)
        if run["state"] in _ENDED:
            return run
        time.sleep(min(max(POLL_EVERY_S, 10 * took), LONGEST_PAUSE_S))


def worklist_items(
    connection: Connection, run_id: int | None, band: str | None, limit: int | None, reviewed: str | None = None
) -> tuple[Iterator[Document], Document]:
    """The items in their order, asked for page by page as they are read, and the operating point in force.

    band: must_look, likely, possible, not_flagged, or flagged for likely and possible together. reviewed: unreviewed,
    reviewed, by_me, or what readers decided: fracture, no_fracture or undecided.
    """

    def page(cursor: str | None) -> Document:
        size = LARGEST_PAGE if limit is None else min(limit, LARGEST_PAGE)
        chosen = {"run": run_id, "band": band, "reviewed": reviewed}
        return connection.get("/api/v1/worklist", **chosen, limit=size, cursor=cursor)

    def items(answer: Document) -> Iterator[Document]:
        given = 0
        while True:
            for item in answer["items"]:
                if given == limit:
                    return
                given += 1
                yield item
            if answer["next"] is None or given == limit:
                return
            answer = page(answer["next"])

    first = page(None)
    return items(first), first["operating_point"]


def ended_jobs(run: Document) -> int:
    counts = run["counts"]
    return int(counts["screened"] + counts["rejected"] + counts["failed"] + counts.get("cancelled", 0))


def not_screened(run: Document) -> int:
    """Files that have no prediction and will get none: refused at the door, unreadable, or set aside."""
    counts = run["counts"]
    return int(counts["rejected"] + counts["failed"] + counts.get("refused", 0))
