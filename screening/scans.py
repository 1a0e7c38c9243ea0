"""One scan as readers see it: its facts, its pictures, what each checkpoint said of it, and in which runs it stands."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from screening.bands import Band, band_of
from screening.checkpoints import operating_point
from screening.database.states import WorkState
from screening.database.tables import Checkpoint, Job, Prediction, Rendition, Scan
from screening.errors import NotFound

MOST_JOBS = 200
MOST_VIEWS = 24


@dataclass(frozen=True)
class ScanPrediction:
    """What one checkpoint said of a scan, judged by the operating point that is in force now."""

    checkpoint: str
    checkpoint_name: str
    form: str
    active: bool
    probability: float
    threshold: float
    likely_threshold: float
    engine: str
    worker: str
    created_at: datetime

    @property
    def flagged(self) -> bool:
        return self.probability >= self.threshold

    @property
    def band(self) -> Band:
        return band_of(self.probability, self.threshold, self.likely_threshold)


@dataclass(frozen=True)
class StudyView:
    """Another scan of the same study."""

    scan: str
    file_name: str
    body_part: str | None
    view: str | None
    laterality: str | None
    probability: float | None
    """None where the checkpoint has not screened the scan."""
    band: Band | None


def get_scan(session: Session, scan_id: str) -> Scan:
    """Raises NotFound."""
    scan = session.get(Scan, scan_id)
    if scan is None or scan.erased_at is not None:
        raise NotFound("unknown_scan", f"There is no scan {scan_id[:40]}. Look for it in the worklist.")
    return scan


def name_of(session: Session, scan: Scan, run_id: int | None) -> str:
    """Under which name it came in this run; without one, or where it did not, the name it first arrived under."""
    if run_id is None:
        return scan.file_name
    named = select(Job.file_name).where(Job.scan_id == scan.id, Job.run_id == run_id).order_by(Job.id).limit(1)
    return session.scalar(named) or scan.file_name


def predictions_of(session: Session, scan_id: str) -> list[ScanPrediction]:
    """Of every checkpoint, the active one first, then the latest. Maps are left out; `activation_map` reads one."""
    rows = session.execute(
        select(
            Prediction.checkpoint_id,
            Checkpoint.name,
            Checkpoint.form,
            Checkpoint.active,
            Prediction.probability,
            Prediction.engine,
            Prediction.worker,
            Prediction.created_at,
        )
        .join(Checkpoint, Checkpoint.id == Prediction.checkpoint_id)
        .where(Prediction.scan_id == scan_id)
        .order_by(Checkpoint.active.desc(), Prediction.created_at.desc(), Prediction.id.desc())
    )
    predictions = []
    for row in rows:
        point = operating_point(session, row.checkpoint_id)
        predictions.append(
            ScanPrediction(
                checkpoint=row.checkpoint_id,
                checkpoint_name=row.name,
                form=row.form,
                active=row.active,
                probability=row.probability,
                threshold=point.threshold,
                likely_threshold=point.likely_threshold,
                engine=row.engine,
                worker=row.worker,
                created_at=row.created_at,
            )
        )
    return predictions


def study_of(session: Session, scan: Scan, checkpoint: str | None, limit: int = MOST_VIEWS) -> list[StudyView]:
    """The other scans of this scan's study in the order of arrival, with what this checkpoint said of them."""
    if scan.study is None:
        return []
    point = operating_point(session, checkpoint) if checkpoint else None
    rows = session.execute(
        select(Scan.id, Scan.file_name, Scan.body_part, Scan.view, Scan.laterality, Prediction.probability)
        .outerjoin(Prediction, and_(Prediction.scan_id == Scan.id, Prediction.checkpoint_id == checkpoint))
        .where(Scan.study == scan.study, Scan.id != scan.id)
        .order_by(Scan.received_at, Scan.id)
        .limit(limit)
    )
    return [
        StudyView(
            scan=row.id,
            file_name=row.file_name,
            body_part=row.body_part,
            view=row.view,
            laterality=row.laterality,
            probability=row.probability,
            band=band_of(row.probability, point.threshold, point.likely_threshold)
            if point and row.probability is not None
            else None,
        )
        for row in rows
    ]


def activation_map(session: Session, scan_id: str, checkpoint_id: str | None) -> tuple[str, bytes]:
    """(checkpoint, stored map) of this checkpoint, or of the active one, or else of the latest. Raises NotFound."""
    statement = (
        select(Prediction.checkpoint_id, Prediction.activation_map)
        .join(Checkpoint, Checkpoint.id == Prediction.checkpoint_id)
        .where(Prediction.scan_id == scan_id)
        .order_by(Checkpoint.active.desc(), Prediction.created_at.desc(), Prediction.id.desc())
        .limit(1)
    )
    if checkpoint_id is not None:
        statement = statement.where(Prediction.checkpoint_id == checkpoint_id)
    row = session.execute(statement).first()
    if row is None:
        get_scan(session, scan_id)
        raise NotFound("not_screened", "This scan has not been screened yet, so there is no map of it.")
    return row.checkpoint_id, row.activation_map


def renditions_of(session: Session, scan_id: str) -> Sequence[Rendition]:
    return session.scalars(select(Rendition).where(Rendition.scan_id == scan_id).order_by(Rendition.queued_at)).all()


def ready_rendition(session: Session, scan_id: str) -> Rendition:
    """The rendition that the active checkpoint sees, or else the latest. Raises NotFound where none is ready."""
    ready = session.scalars(
        select(Rendition)
        .where(Rendition.scan_id == scan_id, Rendition.state == WorkState.READY)
        .order_by(Rendition.finished_at.desc())
    ).all()
    if not ready:
        get_scan(session, scan_id)
        raise NotFound("no_picture", "There is no picture of this scan: it is being prepared, or it was rejected.")
    wanted = session.scalar(select(Checkpoint.rendition_spec).where(Checkpoint.active))
    return next((rendition for rendition in ready if rendition.spec == wanted), ready[0])


def jobs_of(session: Session, scan_id: str, limit: int = MOST_JOBS) -> Sequence[Job]:
    """In which runs the scan stands, the latest first."""
    return session.scalars(select(Job).where(Job.scan_id == scan_id).order_by(Job.id.desc()).limit(limit)).all()
