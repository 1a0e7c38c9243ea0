"""The benchmark itself: every measure once in each round, in turns, and what the promises make of them."""

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from screening.bench import script, services
from screening.bench.figures import Measure, Ratio, quantile
from screening.bench.installation import running, with_twin
from screening.bench.parts import PreparePool, engine_speed
from screening.bench.pictures import make_pictures
from screening.bench.whole import BATCH, WholeRun, first_screening, rescreening, urgent_latencies
from screening.cores import usable_cores
from screening.inference.bundle import Bundle
from screening.inference.choice import EngineKind, open_engine

URGENT_SCANS = 20
EMBEDDED = "embedded"
SERVERS = "servers"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What is measured."""

    bundle: Bundle
    forms: tuple[str, ...]
    pictures: tuple[Path, ...]
    rounds: int
    engine: EngineKind
    batch: int = BATCH


@dataclass
class Bench:
    """The measures of one run, filled round by round."""

    plan: Plan
    measures: dict[str, Measure] = field(default_factory=dict)
    peak_mb: dict[str, float] = field(default_factory=dict)
    stages_ms: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    """By measure and stage, what a scan took in each round."""

    def add(self, name: str, word: str, value: float, unit: str = "images/s") -> None:
        self.measures.setdefault(name, Measure(name, word, unit)).values.append(value)

    def leave_out(self, name: str, word: str, why: str, unit: str = "images/s") -> None:
        self.measures[name] = Measure(name, word, unit, left_out=why)


def ratios(forms: Sequence[str]) -> list[Ratio]:
    """What the project promises, for the forms that were measured."""
    promised = {"int8": 2.0, "fp32": 1.2}
    found = []
    for form in forms:
        found.append(
            Ratio(f"whole system ({form}) to the script", f"whole_{form}", "script", promised.get(form)),
        )
        found.append(Ratio(f"re-screening to the bare engine ({form})", f"again_{form}", f"engine_{form}", 0.9))
        found.append(Ratio(f"PostgreSQL and Redis to embedded ({form})", f"servers_{form}", f"whole_{form}"))
    return found


def run_bench(plan: Plan, say: Say) -> Bench:
    """Measure everything, `plan.rounds` times. Takes minutes. Raises RuntimeError where a part does not work."""
    bench = Bench(plan)
    latencies: list[float] = []
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="screening-bench-")))
        checkpoint_dir = with_twin(plan.bundle, work / "checkpoints")
        children = usable_cores()
        for number in range(plan.rounds):
            say(f"round {number + 1} of {plan.rounds}")
            _script(bench, say)
            _parts(bench, children, say)
            for form in plan.forms:
                folder = work / f"{EMBEDDED}-{form}-{number}"
                _whole(bench, EMBEDDED, form, folder, checkpoint_dir, {}, say)
                folder = work / f"{SERVERS}-{form}-{number}"
                _on_servers(bench, form, folder, checkpoint_dir, say)
            latencies += _urgent(plan, work / f"urgent-{number}", checkpoint_dir, say)
        tell_latencies(bench, latencies)
    return bench


def _script(bench: Bench, say: Say) -> None:
    word = "(a) script: DataLoader, eager fp32"
    if why := script.why_not_here():
        bench.leave_out("script", word, why)
        return
    say("  the script")
    bench.add("script", word, script.images_per_second(bench.plan.pictures, bench.plan.bundle.rendition.side))


def _parts(bench: Bench, children: int, say: Say) -> None:
    plan = bench.plan
    say("  preparing alone, then the bare engine")
    pool = PreparePool(children)
    try:
        pool.prepare(plan.pictures[:children], plan.bundle.rendition)  # Children start with their first file.
        started = time.perf_counter()
        prepared = pool.prepare(plan.pictures, plan.bundle.rendition)
        seconds = time.perf_counter() - started
    finally:
        pool.close()
    squares = np.stack(prepared)
    bench.add("prepare", "(c) preparing alone", len(squares) / seconds)
    for form in plan.forms:
        engine = open_engine(plan.engine, plan.bundle, form)
        engine.predict(squares[: plan.batch])
        speed = engine_speed(engine, squares, plan.batch)
        bench.add(f"engine_{form}", f"(b) bare engine, {form}", speed)


def _whole(
    bench: Bench, backing: str, form: str, folder: Path, checkpoint_dir: Path, settings: dict[str, str], say: Say
) -> None:
    say(f"  the whole system, {form}, {backing}")
    chosen = {"SCREENING_FORM": form, "SCREENING_ENGINE": bench.plan.engine, **settings}
    with running(folder, checkpoint_dir, chosen) as installed:
        first = first_screening(installed, bench.plan.pictures)
        again = rescreening(installed) if backing == EMBEDDED else None
    name, where = ("whole", "SQLite and Valkey") if backing == EMBEDDED else ("servers", "PostgreSQL and Redis")
    bench.add(f"{name}_{form}", f"(d) whole system, {form}, {where}", first.images_per_s)
    bench.add(f"{name}_{form}_cpu", f"processor time per scan, {form}, {where}", first.cpu_ms_per_scan, "ms")
    bench.add(f"{name}_{form}_fill", f"batch fill, {form}, {where}", first.batch_fill, "of 1")
    _remember(bench, f"{name}_{form}", first)
    if again is not None:
        bench.add(f"again_{form}", f"(e) re-screening from renditions, {form}", again.images_per_s)
        bench.add(f"again_{form}_cpu", f"processor time per scan, re-screening, {form}", again.cpu_ms_per_scan, "ms")
        if again.first_batch_s is not None:
            word = f"re-screening, until its first batch is recorded (it loads the checkpoint), {form}"
            bench.add(f"again_{form}_start", word, again.first_batch_s, "s")
        _remember(bench, f"again_{form}", again)


def _on_servers(bench: Bench, form: str, folder: Path, checkpoint_dir: Path, say: Say) -> None:
    if why := services.why_not_here():
        bench.leave_out(f"servers_{form}", f"(d) whole system, {form}, PostgreSQL and Redis", why)
        return
    folder.mkdir()
    with services.servers(folder) as settings:
        _whole(bench, SERVERS, form, folder / "data", checkpoint_dir, settings, say)


def _urgent(plan: Plan, folder: Path, checkpoint_dir: Path, say: Say) -> list[float]:
    say("  urgent scans during bulk work")
    urgent = make_pictures(folder / "pictures", URGENT_SCANS, seed=2)
    settings = {"SCREENING_FORM": plan.forms[-1], "SCREENING_ENGINE": plan.engine}
    with running(folder / "data", checkpoint_dir, settings) as installed:
        return urgent_latencies(installed, plan.pictures, urgent)


def tell_latencies(bench: Bench, latencies: list[float]) -> None:
    """The urgent scans' seconds of all rounds as measures; where there are none, why not."""
    form, batch = bench.plan.forms[-1], bench.plan.batch
    for share in (0.5, 0.95):
        name = f"urgent_p{round(share * 100)}"
        word = f"urgent scan during bulk work, {form}, p{round(share * 100)} of {len(latencies)}"
        found = quantile(latencies, share)
        if found is None:
            bench.leave_out(name, word, "the bulk work was over before the first one; give it more pictures", "s")
        else:
            bench.add(name, word, found, "s")
    engine = bench.measures[f"engine_{form}"].middle
    if engine:
        bench.add("two_batches", f"two batches of {batch} in the bare engine", 2 * batch / engine, "s")


def _remember(bench: Bench, name: str, run: WholeRun) -> None:
    for kind, peak in run.peak_mb.items():
        bench.peak_mb[kind] = max(bench.peak_mb.get(kind, 0.0), peak)
    stages = bench.stages_ms.setdefault(name, {})
    for stage, took in run.stages_ms.items():
        stages.setdefault(stage, []).append(took)
