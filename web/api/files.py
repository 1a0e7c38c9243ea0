"""Files of a run: which are known, the upload itself, and the receipts."""

from collections.abc import Iterator
from typing import Any

from flask import Response, request
from flask_smorest import Blueprint
from werkzeug.exceptions import UnsupportedMediaType

from screening.errors import Refused
from screening.queue import QueueName
from screening.radiographs.problems import too_large
from screening.runs.admission import (
    Receipted,
    admit_known,
    known_hashes,
    run_for_admission,
)
from screening.runs.intake import Arrival, admit_arrivals, look_at
from screening.runs.lifecycle import get_run
from screening.runs.receipts import every_receipt, receipt_counts, receipts_of, with_outcomes
from screening.system import System
from web import current
from web.api.schemas import (
    Admitted,
    FileReceipts,
    Hashes,
    KeptReceipts,
    KnownFiles,
    Missing,
    Problem,
    ReceiptsQuery,
)
from web.room import watched_body
from web.spreadsheets import csv_pieces, csv_response
from web.uploads import Received, clean_name, receive_files

blueprint = Blueprint("files", __name__, url_prefix="/api/v1/runs/<int:run_id>", description="Files of a run.")

FILES_PER_TRANSACTION = 50
MIB = 1 << 20
RETRY_AFTER = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."}}
COLUMNS = (
    "file_name",
    "status",
    "reason",
    "code",
    "sha256",
    "size_bytes",
    "scan_id",
    "received_at",
    "outcome",
    "problem",
)


@blueprint.post("/known")
@blueprint.arguments(Hashes)
@blueprint.response(200, Missing)
@blueprint.alt_response(404, schema=Problem)
def known(given: dict[str, list[str]], run_id: int) -> Any:
    """Which of these hashes the server does not have. For those that it has, `admit` is enough."""
    with current.system().database.read() as session:
        get_run(session, run_id)
        present = known_hashes(session, given["sha256"])
    return {"missing": [digest for digest in dict.fromkeys(given["sha256"]) if digest not in present]}


@blueprint.post("/admit")
@blueprint.arguments(KnownFiles)
@blueprint.response(202, Admitted)
@blueprint.alt_response(409, schema=Problem, description="The run takes no more files.")
def admit(given: dict[str, list[dict[str, str]]], run_id: int) -> Any:
    """Put scans that the server has into this run, without sending their bytes again."""
    system = current.system()
    files = given["files"]
    with system.database.read() as session:
        run_for_admission(session, run_id)
    found: dict[int, Receipted] = {}
    # Always by hash, so that two clients with the same files never wait for each other in a circle.
    places = sorted(range(len(files)), key=lambda place: files[place]["sha256"])
    for start in range(0, len(places), FILES_PER_TRANSACTION):
        with system.database.write() as session:
            run = run_for_admission(session, run_id)
            for place in places[start : start + FILES_PER_TRANSACTION]:
                file = files[place]
                receipt = admit_known(session, system.clock(), run, file["sha256"], clean_name(file["name"]))
                if receipt is not None:
                    found[place] = receipt
    system.waker.wake(QueueName.PREPARE, QueueName.SCREEN)
    return {
        "files": [found[place] for place in sorted(found)],
        "missing": [file["sha256"] for place, file in enumerate(files) if place not in found],
    }


@blueprint.post("/files")
@blueprint.response(202, FileReceipts)
@blueprint.alt_response(400, schema=Problem, description="The body is not well-formed multipart.")
@blueprint.alt_response(409, schema=Problem, description="The run takes no more files.")
@blueprint.alt_response(413, schema=Problem)
@blueprint.alt_response(
    429,
    schema=Problem,
    description="Too many pictures wait to be screened (code queue_full). Nothing was kept of this request; send it "
    "again after the seconds in Retry-After.",
    headers=RETRY_AFTER,
)
@blueprint.alt_response(
    507,
    schema=Problem,
    description="There is no room for a body of this size (code storage_full). Send it again after the seconds in "
    "Retry-After. What arrived before may have been admitted; sending it again is harmless.",
    headers=RETRY_AFTER,
)
@blueprint.doc(
    requestBody={
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "file": {
                            "type": "array",
                            "items": {"type": "string", "contentMediaType": "application/octet-stream"},
                        }
                    },
                }
            }
        },
    }
)
def upload(run_id: int) -> Any:
    """Send files, each as a part named "file". Each gets a receipt; a rejected one never stops its neighbours."""
    system = current.system()
    with system.database.read() as session:
        lane = run_for_admission(session, run_id).lane
    if request.mimetype != "multipart/form-data":
        raise UnsupportedMediaType
    boundary = request.mimetype_params.get("boundary")
    if not boundary:
        raise Refused(
            "bad_request", "The Content-Type names no boundary. Send the files as multipart/form-data with one."
        )
    request.max_content_length = system.settings.max_request_mb * MIB
    most_bytes = system.settings.max_file_mb * MIB
    body = watched_body(request.stream, request.content_length, system.capacity, lane)
    receipts: list[Receipted] = []
    arrivals: list[Arrival] = []
    try:
        for received in receive_files(body, boundary, system.storage, most_bytes):
            arrivals.append(_arrival(received, most_bytes))
            if len(arrivals) == FILES_PER_TRANSACTION:
                receipts += admit_arrivals(system, run_id, arrivals)
                arrivals = []
    finally:
        # Where the disk fills up in the middle, too: what has arrived whole is used, and not left without a row.
        if arrivals:
            receipts += admit_arrivals(system, run_id, arrivals)
    system.waker.wake(QueueName.PREPARE)
    if any(receipt.status == "duplicate" for receipt in receipts):
        # The rendition of a scan that came before is there: it can be screened at once.
        system.waker.wake(QueueName.SCREEN)
    return {"files": receipts}


@blueprint.get("/files")
@blueprint.arguments(ReceiptsQuery, location="query")
@blueprint.response(200, KeptReceipts)
@blueprint.alt_response(404, schema=Problem)
def receipts(query: dict[str, Any], run_id: int) -> Any:
    """Receipts in the order in which the files came, those of files unpacked from archives included."""
    with current.system().database.read() as session:
        get_run(session, run_id)
        rows = receipts_of(session, run_id, query["after"], query["limit"] + 1, query["status"])
        counts = receipt_counts(session, run_id)
        page = with_outcomes(session, run_id, rows[: query["limit"]])
    return {"items": page, "next": page[-1].id if len(rows) > len(page) else None, "counts": counts}


@blueprint.get("/files.csv")
@blueprint.response(200, content_type="text/csv")
@blueprint.alt_response(404, schema=Problem)
def receipts_csv(run_id: int) -> Response:
    """Every receipt of the run as CSV, sent as it is read."""
    system = current.system()
    with system.database.read() as session:
        get_run(session, run_id)
    return csv_response(f"receipts-run-{run_id}.csv", _lines(system, run_id))


def _lines(system: System, run_id: int) -> Iterator[str]:
    with system.database.read() as session:
        yield from csv_pieces(COLUMNS, every_receipt(session, run_id))


def _arrival(received: Received, most_bytes: int) -> Arrival:
    if received.size_bytes <= most_bytes:
        return look_at(received.name, received.incoming)
    # No hash: the bytes over the limit were not looked at.
    return Arrival(received.name, None, received.size_bytes, refusal=too_large(received.size_bytes, most_bytes))
