"""Taking in one received file: looked at, stored under its address, admitted; the same for uploads and containers."""

from sqlalchemy.orm import Session

from screening.database.tables import Run
from screening.radiographs.problems import Unscreenable
from screening.radiographs.sniff import HEAD_BYTES, sniff, why_refused
from screening.runs.admission import (
    Receipted,
    StoredFile,
    admit_container,
    admit_scan,
    refuse_file,
    run_for_admission,
)
from screening.runs.lifecycle import get_run
from screening.storage import Incoming, container_key, original_key
from screening.system import System


def take_in(system: System, run_id: int, name: str, incoming: Incoming, container_id: int | None = None) -> Receipted:
    """Admit a received file to a run, or refuse it with a receipt.

    An upload needs a run that still takes files (Conflict otherwise); what comes out of a container belongs to its run
    even after that was submitted. The object is in storage before the rows that speak of it are committed; the wake-up
    is the caller's, afterwards. Raises StorageError; then nothing is recorded and the file may be sent again.
    """
    head = incoming.head(HEAD_BYTES)
    refusal = why_refused(head)
    kind = sniff(head)
    if refusal is None and kind is not None and kind.is_container and container_id is not None:
        refusal = Unscreenable(
            "nested", "This is an archive inside an archive. Unpack it, and send the pictures themselves."
        )
    if refusal is not None or kind is None:
        code, reason = (refusal.code, str(refusal)) if refusal else ("not_an_image", "This is not a radiograph.")
        with system.database.write() as session:
            run = _receiving_run(session, run_id, container_id)
            return refuse_file(
                session, system.clock(), run, name, incoming.sha256, incoming.size, code, reason, container_id
            )
    file = StoredFile(name, incoming.sha256, incoming.size, kind.media_type)
    incoming.keep(container_key(file.sha256) if kind.is_container else original_key(file.sha256))
    with system.database.write() as session:
        run = _receiving_run(session, run_id, container_id)
        if kind.is_container:
            return admit_container(session, system.clock(), run, file)
        return admit_scan(session, system.clock(), run, file, container_id)


def _receiving_run(session: Session, run_id: int, container_id: int | None) -> Run:
    return run_for_admission(session, run_id) if container_id is None else get_run(session, run_id)
