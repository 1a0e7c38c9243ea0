"""The stages of the work, as the workers themselves count them in their signs of life."""

import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from screening.client.http import Connection

ASK_EVERY_S = 0.2
BEATS_WITHIN_S = 60.0

Stages = Mapping[str, tuple[float, int]]
"""By "kind of worker, stage": seconds of all workers of this kind together, and scans."""


@dataclass(frozen=True)
class Totals:
    """What all workers have counted since they started."""

    stages: Stages
    batches: int
    scans_in_batches: int


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
    batches, scans_in_batches = 0, 0
    for worker in workers:
        batches += worker["details"].get("batches", 0)
        scans_in_batches += worker["details"].get("scans", 0)
        for stage, counted in worker["details"].get("stages", {}).items():
            seconds, scans = found[f"{worker['kind']}, {stage}"]
            found[f"{worker['kind']}, {stage}"] = (seconds + counted["seconds"], scans + counted["scans"])
    return Totals(dict(found), batches, scans_in_batches)


def batch_fill(before: Totals, after: Totals, batch: int) -> float:
    """How full batches of at most so many scans were between two looks: 1 is full. Raises RuntimeError without one."""
    batches = after.batches - before.batches
    if not batches:
        raise RuntimeError("no batch was screened")
    return (after.scans_in_batches - before.scans_in_batches) / batches / batch


def ms_per_scan(before: Stages, after: Stages) -> dict[str, float]:
    """Milliseconds per scan of each stage between two looks; stages that no scan entered are left out."""
    found = {}
    for stage, (seconds, scans) in after.items():
        earlier_s, earlier = before.get(stage, (0.0, 0))
        if scans > earlier:
            found[stage] = 1000 * (seconds - earlier_s) / (scans - earlier)
    return found
