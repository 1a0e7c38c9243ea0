"""What must be true of an installation after whatever happened to it; each check answers with sentences, or none."""

from collections.abc import Iterator, Sequence

from sqlalchemy import text
from sqlalchemy.orm import Session

from screening.clock import utc_now
from screening.runs.lifecycle import get_run
from screening.runs.progress import progress_of
from screening.storage import Storage, display_key, original_key, rendition_key
from tests.chaos.load import Sent

_DOUBLED = {
    "predictions of one scan by one checkpoint": ("predictions", "scan_id, checkpoint_id"),
    "receipts of one file in one run": ("receipts", "run_id, sha256, file_name"),
    "jobs of one file in one run": ("jobs", "run_id, scan_id, file_name"),
    "scans with the same bytes": ("scans", "sha256"),
    "openings or submissions of one run": (
        "(SELECT * FROM audit_events WHERE action IN ('run.opened', 'run.submitted')) AS steps",
        "subject, action",
    ),
}
"""What may be there once only: in which rows, and by which columns these are alike."""
_IMPOSSIBLE = {
    "job is screened without a prediction": "SELECT jobs.id FROM jobs JOIN runs ON runs.id = jobs.run_id "
    "LEFT JOIN predictions ON predictions.scan_id = jobs.scan_id AND predictions.checkpoint_id = runs.checkpoint_id "
    "WHERE jobs.state = 'screened' AND predictions.id IS NULL",
    "job ended without a reason": "SELECT id FROM jobs WHERE state IN ('rejected', 'failed') "
    "AND (problem IS NULL OR problem_code IS NULL)",
    "ended job has a lease": "SELECT id FROM jobs WHERE state <> 'screening' AND lease_token IS NOT NULL",
    "job has a prediction and is not screened": "SELECT jobs.id FROM jobs JOIN runs ON runs.id = jobs.run_id "
    "JOIN predictions ON predictions.scan_id = jobs.scan_id AND predictions.checkpoint_id = runs.checkpoint_id "
    "WHERE jobs.state <> 'screened'",
    "job is beyond its rendition": "SELECT jobs.id FROM jobs JOIN renditions ON renditions.scan_id = jobs.scan_id "
    "WHERE jobs.state IN ('queued', 'screening', 'screened') AND renditions.state <> 'ready'",
    "accepted receipt has no job": "SELECT receipts.id FROM receipts LEFT JOIN jobs ON jobs.run_id = receipts.run_id "
    "AND jobs.scan_id = receipts.scan_id AND jobs.file_name = receipts.file_name "
    "WHERE receipts.status <> 'rejected' AND receipts.scan_id IS NOT NULL AND jobs.id IS NULL",
    "job has no receipt": "SELECT jobs.id FROM jobs LEFT JOIN receipts ON jobs.run_id = receipts.run_id "
    "AND jobs.scan_id = receipts.scan_id AND jobs.file_name = receipts.file_name WHERE receipts.id IS NULL",
    "number of attempts is below zero": "SELECT id FROM jobs WHERE attempts < 0",
}
_ENDED = ("screened", "rejected", "failed")


def doubled(session: Session) -> list[str]:
    rules = {
        name: f"SELECT {columns} FROM {rows} GROUP BY {columns} HAVING count(*) > 1"
        for name, (rows, columns) in _DOUBLED.items()
    }
    return _broken(session, rules, "Doubled")


def impossible(session: Session) -> list[str]:
    """States that no moment may show; true while work goes on as well as afterwards."""
    return _broken(session, _IMPOSSIBLE, "Impossible")


def _broken(session: Session, rules: dict[str, str], what: str) -> list[str]:
    found = {name: session.execute(text(sql)).all() for name, sql in rules.items()}
    return [f"{what}: {len(rows)} times, {name}, first {rows[0]}" for name, rows in found.items() if rows]


def lost(session: Session, runs: Sequence[Sent]) -> list[str]:
    """Files that were accepted, and of which the installation cannot say what became of them."""
    return list(_lost(session, runs))


def _lost(session: Session, runs: Sequence[Sent]) -> Iterator[str]:
    for sent in runs:
        known = {
            row.file_name: row
            for row in session.execute(
                text("SELECT file_name, scan_id, state, problem FROM jobs WHERE run_id = :run"), {"run": sent.run}
            )
        }
        for name, digest in sent.accepted.items():
            job = known.get(name)
            if job is None or not digest.startswith(job.scan_id):
                yield f"Lost: {name} of run {sent.run} was accepted and has no job"
            elif job.state not in _ENDED or (job.state != "screened" and not job.problem):
                yield f"Lost: {name} of run {sent.run} was accepted and is {job.state}"


def uncounted(session: Session, runs: Sequence[Sent]) -> list[str]:
    """Runs whose progress, receipts, jobs and audit trail do not say the same."""
    wrong = []
    for sent in runs:
        progress = progress_of(session, utc_now(), get_run(session, sent.run))
        receipts = session.scalar(
            text("SELECT count(*) FROM receipts WHERE run_id = :run AND status <> 'rejected'"), {"run": sent.run}
        )
        by_state = progress.screened + progress.rejected + progress.failed
        accepted = len(sent.accepted)
        if not progress.total == by_state == receipts == accepted:
            wrong.append(f"Counts differ: run {sent.run}, {accepted} files accepted, {receipts} receipts, {progress}")
        for action in ("run.opened", "run.submitted"):
            noted = session.scalar(
                text("SELECT count(*) FROM audit_events WHERE action = :action AND subject = :run"),
                {"action": action, "run": str(sent.run)},
            )
            if noted != 1:
                wrong.append(f"Audit trail: run {sent.run} has {noted} events {action}")
        if get_run(session, sent.run).state != "complete":
            wrong.append(f"Run {sent.run} is not complete")
    return wrong


def without_objects(session: Session, storage: Storage) -> list[str]:
    """Scans whose original, rendition or display image is not in storage though the database says it is."""
    missing = []
    rows = session.execute(
        text(
            "SELECT scans.id, scans.sha256, renditions.spec, renditions.state FROM scans "
            "JOIN renditions ON renditions.scan_id = scans.id"
        )
    )
    for scan, digest, spec, state in rows:
        wanted = [original_key(digest)]
        if state == "ready":
            wanted += [rendition_key(scan, spec), display_key(scan)]
        missing += [f"Missing object: {key}" for key in wanted if not storage.exists(key)]
    return missing
