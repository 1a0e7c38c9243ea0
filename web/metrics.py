"""Measures for Prometheus, counted in SQL when they are asked for, so that any number of web processes agree."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from screening import workers
from screening.database.states import JobState, RunState, WorkState
from screening.database.tables import Checkpoint, Container, Job, Prediction, Receipt, Rendition, Run
from screening.system import System
from screening.upkeep.capacity import oldest_waiting_s
from web import current
from web.broker import queue_depths
from web.watching import LISTS_KEPT_TIMES, kept_count, latest_drift

blueprint = Blueprint("metrics", __name__)


@blueprint.get("/metrics")
def metrics() -> Response:
    registry = CollectorRegistry()
    registry.register(_Measures(current.system()))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)


class _Measures(Collector):
    def __init__(self, system: System) -> None:
        self._system = system

    def describe(self) -> list[Metric]:
        """Nothing in advance: registering must not count anything."""
        return []

    def collect(self) -> Iterator[Metric]:
        yield from self._counted()
        yield from _drift()
        depths = queue_depths(self._system.settings.redis_url)
        yield GaugeMetricFamily("screening_redis_up", "Whether Redis answers", value=float(depths is not None))
        queues = GaugeMetricFamily("screening_queue_depth", "Wake-ups waiting in a queue", labels=["queue"])
        for name, depth in (depths or {}).items():
            queues.add_metric([name], depth)
        yield queues
        settings = self._system.settings
        space = self._system.capacity.space()
        for name, help_text, value in (
            ("screening_free_bytes", "Free space of the storage folder or the SQLite file, the smaller", space.free),
            ("screening_room_bytes", "What uploads may bring before they are refused (507)", space.room),
            ("screening_originals_bytes", "What all originals take, where a quota is set", space.kept),
        ):
            if value is not None:
                yield GaugeMetricFamily(name, help_text, value=value)
        limits = GaugeMetricFamily("screening_setting", "Settings that bound throughput", labels=["name"])
        for name in ("batch_size", "linger_ms", "lease_s", "max_attempts", "sweep_every_s", "max_waiting"):
            limits.add_metric([name], float(getattr(settings, name)))
        yield limits

    def _counted(self) -> Iterator[Metric]:
        counted = kept_count("measures", _count, LISTS_KEPT_TIMES).get()
        with self._system.database.read() as session:
            alive = list(workers.alive(session, self._system.clock()))
        yield _by_label("screening_jobs", "Jobs by state", "state", counted.jobs)
        yield _by_label("screening_runs", "Runs by state", "state", counted.runs)
        yield _by_label("screening_renditions", "Renditions by state", "state", counted.renditions)
        yield GaugeMetricFamily("screening_containers_waiting", "Archives to be unpacked", value=counted.unpacking)
        yield GaugeMetricFamily(
            "screening_oldest_waiting_seconds", "Age of the oldest unfinished job", value=counted.waiting_s
        )
        yield _by_label("screening_predictions", "Predictions recorded", "checkpoint", counted.predictions, True)
        yield CounterMetricFamily("screening_files_refused", "Files refused at the door", value=counted.refused)
        yield _by_label(
            "screening_workers_alive",
            "Processes seen within 30 seconds",
            "kind",
            {kind: sum(worker.kind == kind for worker in alive) for kind in sorted({w.kind for w in alive})},
        )
        seconds = CounterMetricFamily("screening_stage_seconds", "Time in a stage", labels=["worker", "stage"])
        scans = CounterMetricFamily("screening_stage_scans", "Scans through a stage", labels=["worker", "stage"])
        for worker in alive:
            for stage, counted in worker.details.get("stages", {}).items():
                seconds.add_metric([worker.name, stage], counted["seconds"])
                scans.add_metric([worker.name, stage], counted["scans"])
        yield from (seconds, scans)


def _drift() -> Iterator[Metric]:
    """Of the active checkpoint over the last weeks, by source; without a comparison its gauges are left out."""
    drift = latest_drift()
    rows = drift.sources if drift else []
    for name, help_text, attribute in (
        ("screening_drift_psi", "Population stability index against the reference; over 0.2 it warns", "psi"),
        ("screening_drift_ks", "Kolmogorov-Smirnov statistic against the reference", "ks"),
        ("screening_flag_rate", "Share of the recently received scans that are flagged", "flag_rate"),
        ("screening_rejected_rate", "Share of the recently received scans that could not be decoded", "rejected_rate"),
    ):
        family = GaugeMetricFamily(name, help_text, labels=["checkpoint", "source"])
        for row in rows:
            value = getattr(row, attribute)
            if drift and value is not None:
                family.add_metric([drift.checkpoint, row.name], value)
        yield family
    warnings = len(drift.warnings) if drift else 0
    yield GaugeMetricFamily("screening_drift_warnings", "Weeks and sources that drift", value=warnings)


@dataclass(frozen=True)
class _Counts:
    """What takes reading whole tables: at a million scans some seconds, so not with every scrape."""

    jobs: dict[str, int]
    runs: dict[str, int]
    renditions: dict[str, int]
    predictions: dict[str, int]
    """By checkpoint."""
    unpacking: int
    refused: int
    waiting_s: float


def _count(session: Session, now: datetime) -> _Counts:
    def by_state(column: InstrumentedAttribute[str], states: Iterable[str]) -> dict[str, int]:
        found = dict(session.execute(select(column, func.count()).group_by(column)).all())
        return {state: found.get(state, 0) for state in states}

    predicted = (
        select(Checkpoint.id, func.count(Prediction.id))
        .outerjoin(Prediction, Prediction.checkpoint_id == Checkpoint.id)
        .group_by(Checkpoint.id)
    )
    unpacking = select(func.count()).where(Container.state.in_((WorkState.WAITING, WorkState.WORKING)))
    return _Counts(
        jobs=by_state(Job.state, JobState),
        runs=by_state(Run.state, RunState),
        renditions=by_state(Rendition.state, WorkState),
        predictions=dict(session.execute(predicted).all()),
        unpacking=session.scalar(unpacking) or 0,
        refused=session.scalar(select(func.count()).where(Receipt.status == "rejected")) or 0,
        waiting_s=oldest_waiting_s(session, now),
    )


def _by_label(name: str, help_text: str, label: str, values: dict[str, int], counter: bool = False) -> Metric:
    family = (CounterMetricFamily if counter else GaugeMetricFamily)(name, help_text, labels=[label])
    for value, count in values.items():
        family.add_metric([str(value)], count)
    return family
