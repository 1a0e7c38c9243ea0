"""The measured part of docs/reliability.md, written between two marks of that page."""

import os
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path

from screening.clock import utc_now
from tests.chaos.trial import Outcome
from tests.conftest import ROOT

REPORT = ROOT / "docs" / "reliability.md"
BEGIN = "<!-- measured: begin, written by `make chaos` -->"
END = "<!-- measured: end -->"


def write_report(page: Path, outcomes: Sequence[Outcome]) -> None:
    """Put what these trials have shown in the place of what the page said before."""
    before, _, rest = page.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(before + BEGIN + "\n\n" + "\n".join(_lines(outcomes)) + "\n\n" + END + after, "utf-8")


def _lines(outcomes: Sequence[Outcome]) -> Iterator[str]:
    yield (
        f"Measured on {utc_now():%Y-%m-%d}, seed {outcomes[0].seed}, on a machine with {os.cpu_count()} cores "
        f"({platform.machine()}, Python {platform.python_version()}) that had other work to do at the same time "
        f"(load {os.getloadavg()[2]:.0f} over the last 15 minutes)."
    )
    yield ""
    yield "| | " + " | ".join(outcome.database for outcome in outcomes) + " |"
    yield "|---|" + "---:|" * len(outcomes)
    for name, numbers in _totals(outcomes):
        yield f"| {name} | " + " | ".join(numbers) + " |"
    yield ""
    yield "| fault | times | processes killed | most scans in flight | lost | doubled | longest until work went on |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    wounds = [(wound, outcome) for outcome in outcomes for wound in outcome.wounds]
    for name in sorted({wound.fault for wound, _ in wounds}):
        these = [(wound, outcome) for wound, outcome in wounds if wound.fault == name]
        lost = sum(len(wound.in_flight & outcome.lost_jobs) for wound, outcome in these)
        yield (
            f"| {name} | {len(these)} | {sum(wound.killed for wound, _ in these)} "
            f"| {max(len(wound.in_flight) for wound, _ in these)} | {lost} "
            f"| {sum(wound.doubled for wound, _ in these)} "
            f"| {max(wound.went_on_after_s for wound, _ in these):.1f} s |"
        )


def _totals(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, list[str]]]:
    yield "minutes", [f"{outcome.seconds / 60:.0f}" for outcome in outcomes]
    yield "faults injected", [str(len(outcome.wounds)) for outcome in outcomes]
    yield "processes killed", [str(outcome.killed) for outcome in outcomes]
    yield "jobs, each of another scan", [str(outcome.jobs) for outcome in outcomes]
    yield "screened", [str(outcome.screened) for outcome in outcomes]
    yield "given up as *must look*, with a reason", [str(outcome.set_aside) for outcome in outcomes]
    yield "lost", [str(len(outcome.lost_jobs)) for outcome in outcomes]
    yield "doubled", [str(sum(wound.doubled for wound in outcome.wounds)) for outcome in outcomes]
    yield "requests that the sender had to repeat", [str(outcome.sent_again) for outcome in outcomes]
    yield "checks that failed", [str(len(outcome.wrong)) for outcome in outcomes]
