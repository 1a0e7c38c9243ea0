"""Taking in received files: looked at, stored under their address, admitted; the same for uploads and containers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from screening.database.states import RunState
from screening.database.tables import Run
from screening.database.transactions import committed
from screening.erasure.words import ERASED_CODE
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


@dataclass(frozen=True)
class Arrival:
    """A file that was looked at, and is in storage unless it is refused. No row speaks of it yet."""

    name: str
    sha256: str | None
    """None where not all of the bytes were looked at."""
    size_bytes: int
    media_type: str = ""
    is_container: bool = False
    refusal: Unscreenable | None = None
    in_place: bool = False
    """Storage has a reference to it, and not its bytes."""


def look_at(name: str, incoming: Incoming, from_container: bool = False) -> Arrival:
    """Tell by its first bytes what a received file is, and keep it where it is welcome. Raises StorageError."""
    head = incoming.head(HEAD_BYTES)
    kind = sniff(head)
    refusal = why_refused(head)
    if kind is not None and kind.is_container and from_container:
        refusal = Unscreenable(
            "nested", "This is an archive inside an archive. Unpack it, and send the pictures themselves."
        )
    if kind is None or refusal is not None:
        return Arrival(name, incoming.sha256, incoming.size, refusal=refusal)
    incoming.keep(container_key(incoming.sha256) if kind.is_container else original_key(incoming.sha256))
    return Arrival(name, incoming.sha256, incoming.size, kind.media_type, kind.is_container)


def admit_arrivals(
    system: System, run_id: int, arrivals: Sequence[Arrival], container_id: int | None = None
) -> list[Receipted]:
    """Admit files to a run in one transaction; a receipt for each, in the given order.

    An upload needs a run that still takes files (Conflict otherwise); what comes out of a container belongs to its run
    even after that was submitted, but not once it was cancelled (Unscreenable then, which ends the container). The
    wake-up is the caller's, afterwards.
    """

    def admit(session: Session) -> list[Receipted]:
        run = run_for_admission(session, run_id) if container_id is None else _run_of_container(session, run_id)
        return [_admit(session, system.clock(), run, arrival, container_id) for arrival in arrivals]

    # Two senders of the same files in different orders may end in a deadlock, of which one is tried again.
    receipts = committed(system.database, admit)
    for arrival, receipt in zip(arrivals, receipts, strict=True):
        if receipt.code == ERASED_CODE and arrival.sha256 is not None:
            # It was kept before its rows were looked at.
            system.storage.delete(original_key(arrival.sha256))
    return receipts


def _run_of_container(session: Session, run_id: int) -> Run:
    run = get_run(session, run_id, share_locked=True)
    check_not_cancelled(run)
    return run


def check_not_cancelled(run: Run) -> None:
    """Raises Unscreenable where nothing more of a container may come into its run."""
    if run.state == RunState.CANCELLED:
        raise Unscreenable("damaged", "The run was cancelled while this archive was being unpacked.")


def _admit(session: Session, now: datetime, run: Run, arrival: Arrival, container_id: int | None) -> Receipted:
    if arrival.refusal is not None or arrival.sha256 is None:
        problem = arrival.refusal or Unscreenable("damaged", "The file did not arrive whole. Send it again.")
        return refuse_file(
            session,
            now,
            run,
            arrival.name,
            arrival.sha256,
            arrival.size_bytes,
            problem.code,
            problem.sentence,
            container_id,
        )
    file = StoredFile(arrival.name, arrival.sha256, arrival.size_bytes, arrival.media_type, arrival.in_place)
    if arrival.is_container:
        return admit_container(session, now, run, file)
    return admit_scan(session, now, run, file, container_id)


def take_in(system: System, run_id: int, name: str, incoming: Incoming, container_id: int | None = None) -> Receipted:
    """Look at one received file and admit it. Raises StorageError; then nothing is recorded and it may come again."""
    arrival = look_at(name, incoming, from_container=container_id is not None)
    return admit_arrivals(system, run_id, [arrival], container_id)[0]
