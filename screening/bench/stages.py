"""The stages of the work, as the workers themselves count them in their signs of life."""

import time
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime

from screening.client.http import Connection

ASK_EVERY_S = 0.2
BEATS_WITHIN_S = 60.0

Totals = dict[str, tuple[float, int]]
"""By "kind of worker, stage": seconds of all workers of this kind together, and scans."""


def totals(connection: Connection) -> Totals:
    """What all workers have counted until now; waits for a beat of each, which comes every few seconds.

    Raises RuntimeError where a worker shows no sign of life within a minute.
    """
    asked = datetime.now(UTC)
    deadline = time.monotonic() + BEATS_WITHIN_S
    while True:
        workers = connection.get("/api/v1/workers")["items"]
        if workers and all(datetime.fromisoformat(worker["seen_at"]) > asked for worker in workers):
            break
        if time.monotonic() > deadline:
            raise RuntimeError("the workers did not show a sign of life within a minute")
        time.sleep(ASK_EVERY_S)
    found: dict[str, tuple[float, int]] = defaultdict(lambda: (0.0, 0))
    for worker in workers:
        for stage, counted in worker["details"].get("stages", {}).items():
            seconds, scans = found[f"{worker['kind']}, {stage}"]
            found[f"{worker['kind']}, {stage}"] = (seconds + counted["seconds"], scans + counted["scans"])
    return dict(found)


def ms_per_scan(before: Mapping[str, tuple[float, int]], after: Mapping[str, tuple[float, int]]) -> dict[str, float]:
    """Milliseconds per scan of each stage between two looks; stages that no scan entered are left out."""
    found = {}
    for stage, (seconds, scans) in after.items():
        earlier_s, earlier = before.get(stage, (0.0, 0))
        if scans > earlier:
            found[stage] = 1000 * (seconds - earlier_s) / (scans - earlier)
    return found
