"""A trial: one fault after the other while work goes on, then a look at what became of every scan."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

from sqlalchemy import text

from screening.storage import open_storage
from tests.chaos import checks
from tests.chaos.faults import Fault, Scene, possible_faults
from tests.chaos.load import UNFINISHED, Load
from tests.chaos.stand import Stand
from tests.installation import wait_until

GOES_ON_WITHIN_S = 240.0
ENDS_WITHIN_S = 300.0
FINISHED = "SELECT count(*) FROM jobs WHERE state IN ('screened', 'rejected', 'failed')"


@dataclass
class Wound:
    """One fault that was injected."""

    fault: str
    killed: int
    in_flight: frozenset[int]
    """Jobs that were not finished when it came."""
    went_on_after_s: float
    """From the end of the fault (of a kill: from the kill) until a job was finished and the portal was ready."""
    doubled: int = 0
    """Kinds of doubled rows that were there afterwards."""


@dataclass
class Outcome:
    """What a trial has shown."""

    seed: int
    database: str
    wounds: list[Wound] = field(default_factory=list)
    seconds: float = 0.0
    jobs: int = 0
    screened: int = 0
    set_aside: int = 0
    """Scans that are innocent and were given up all the same, with a reason, because faults met them too often."""
    sent_again: int = 0
    lost_jobs: frozenset[int] = frozenset()
    wrong: list[str] = field(default_factory=list)
    """Every sentence of every check; empty when all promises were kept."""

    @property
    def killed(self) -> int:
        return sum(wound.killed for wound in self.wounds)


def planned(stand: Stand, rng: Random, seconds: float) -> Iterator[Fault]:
    """Every possible fault once in a random order, then by chance and weight until the time is over."""
    end = time.monotonic() + seconds
    faults = possible_faults(stand)
    for fault in rng.sample(faults, len(faults)):
        if time.monotonic() < end:
            yield fault
    while time.monotonic() < end:
        yield from rng.choices(faults, weights=[fault.weight for fault in faults])


def try_out(
    stand: Stand, seed: int, faults: Iterator[Fault] | Sequence[Fault], backlog: int, calm_s: float = 0.0
) -> Outcome:
    """Inject these faults while files are sent, let everything come to its end, and check it.

    calm_s: how long nothing happens between two faults, so that work is done as well.
    """
    began = time.monotonic()
    outcome = Outcome(seed, stand.kind)
    load = Load(stand, backlog, first_seed=seed * 10_000_000)
    scene = Scene(stand, load, Random(seed))
    try:
        load.start()
        wait_until(lambda: stand.count(FINISHED) > 0, GOES_ON_WITHIN_S, "the first scan is screened")
        for fault in faults:
            outcome.wounds.append(_inflict(scene, fault, outcome.wrong))
            print(f"{time.monotonic() - began:6.0f} s  {_said(outcome.wounds[-1])}", flush=True)
            _look(stand, outcome)
            time.sleep(calm_s)
    finally:
        stand.heal()
        load.stop()
    _let_end(stand, outcome)
    _judge(stand, load, outcome)
    outcome.seconds = time.monotonic() - began
    return outcome


def _look(stand: Stand, outcome: Outcome) -> None:
    """Check what must hold at every moment, in the middle of the work."""
    with stand.database.read() as session:
        twice = checks.doubled(session)
        outcome.wounds[-1].doubled = len(twice)
        outcome.wrong += twice + checks.impossible(session)


def _said(wound: Wound) -> str:
    return f"{wound.fault}: {len(wound.in_flight)} in flight, went on after {wound.went_on_after_s:.1f} s"


def _inflict(scene: Scene, fault: Fault, wrong: list[str]) -> Wound:
    stand = scene.stand
    wait_until(lambda: stand.count(UNFINISHED) > 0, 120, "work is in flight")
    with stand.database.read() as session:
        in_flight = frozenset(session.scalars(text(UNFINISHED.replace("count(*)", "id"))))
    began = time.monotonic()
    before = stand.count(FINISHED)
    killed = fault.deed(scene)
    if killed == 0:
        began, before = time.monotonic(), stand.count(FINISHED)
    try:
        wait_until(
            lambda: stand.count(FINISHED) > before and stand.is_ready(),
            GOES_ON_WITHIN_S,
            f"work goes on after: {fault.name}",
        )
    except AssertionError as error:
        wrong.append(str(error))
        stand.heal()
    return Wound(fault.name, killed, in_flight, time.monotonic() - began)


def _let_end(stand: Stand, outcome: Outcome) -> None:
    try:
        wait_until(
            lambda: (
                stand.count(UNFINISHED) == 0
                and stand.count("SELECT count(*) FROM runs WHERE submitted_at IS NOT NULL AND state <> 'complete'") == 0
            ),
            ENDS_WITHIN_S,
            "every run is complete",
        )
    except AssertionError as error:
        outcome.wrong.append(str(error))


def _judge(stand: Stand, load: Load, outcome: Outcome) -> None:
    runs = [run for run in load.runs if run.submitted]
    with stand.database.read() as session:
        outcome.wrong += checks.doubled(session) + checks.impossible(session) + checks.lost(session, runs)
        outcome.wrong += checks.uncounted(session, runs)
        outcome.wrong += checks.without_objects(session, open_storage(f"file://{stand.objects}"))
        outcome.lost_jobs = frozenset(session.scalars(text(UNFINISHED.replace("count(*)", "id"))))
    outcome.jobs = stand.count("SELECT count(*) FROM jobs")
    outcome.screened = stand.count("SELECT count(*) FROM jobs WHERE state = 'screened'")
    outcome.set_aside = stand.count("SELECT count(*) FROM jobs WHERE problem_code = 'set_aside'")
    outcome.sent_again = load.sent_again
    outcome.wrong += [f"Refused at the door: {receipt}" for receipt in load.refused]
    with stand.up.api() as api:
        for run in runs[:3]:
            names = [item["file_name"] for item in api.get(f"/api/v1/worklist?run={run.run}&limit=200").json()["items"]]
            if sorted(names) != sorted(run.accepted):
                outcome.wrong.append(f"Worklist of run {run.run}: {len(names)} items, {len(run.accepted)} accepted")
