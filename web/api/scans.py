"""One scan: what is known of it, and its pictures."""

from typing import Any

from flask import Response
from flask_smorest import Blueprint

from screening import scans
from screening.errors import NotFound
from screening.storage import ObjectMissing, display_key, rendition_key
from web import current, trail
from web.api.schemas import PictureQuery, Problem, ScanDocument
from web.etags import picture, picture_not_modified

blueprint = Blueprint("scans", __name__, url_prefix="/api/v1/scans/<string:scan_id>", description="Single scans.")

RENDITION_KEPT_S = 600
"""Short, because another checkpoint may come with another rendition spec under the same address."""
DISPLAY_KEPT_S = 24 * 3600


@blueprint.get("")
@blueprint.response(200, ScanDocument)
@blueprint.alt_response(404, schema=Problem)
def scan(scan_id: str) -> Any:
    """Facts, predictions of every checkpoint, renditions and jobs of a scan."""
    with current.system().database.read() as session:
        found = scans.get_scan(session, scan_id)
        document = {
            **{column.key: getattr(found, column.key) for column in type(found).__table__.columns},
            "predictions": scans.predictions_of(session, scan_id),
            "renditions": scans.renditions_of(session, scan_id),
            "jobs": scans.jobs_of(session, scan_id),
        }
    trail.viewed(scan_id)
    return document


@blueprint.get("/rendition.png")
@blueprint.response(200, content_type="image/png")
@blueprint.alt_response(404, schema=Problem)
def rendition(scan_id: str) -> Response:
    """The small grey picture that the network saw."""
    system = current.system()
    with system.database.read() as session:
        spec = scans.ready_rendition(session, scan_id).spec
    etag = f"{scan_id}-{spec}"
    return picture_not_modified(etag) or picture(
        _stored(rendition_key(scan_id, spec)), "image/png", etag, RENDITION_KEPT_S
    )


@blueprint.get("/thumbnail.jpg")
@blueprint.response(200, content_type="image/jpeg")
@blueprint.alt_response(404, schema=Problem)
def thumbnail(scan_id: str) -> Response:
    """The rendition again, as small as lists show it."""
    # Pillow is loaded with the first picture, not with the process.
    from screening.radiographs.thumbnail import thumbnail_jpeg

    with current.system().database.read() as session:
        spec = scans.ready_rendition(session, scan_id).spec
    etag = f"{scan_id}-{spec}-thumbnail"
    if (known := picture_not_modified(etag)) is not None:
        return known
    try:
        small = thumbnail_jpeg(_stored(rendition_key(scan_id, spec)))
    except ValueError:
        raise _missing() from None
    return picture(small, "image/jpeg", etag, RENDITION_KEPT_S)


@blueprint.get("/display.jpg")
@blueprint.response(200, content_type="image/jpeg")
@blueprint.alt_response(404, schema=Problem)
def display(scan_id: str) -> Response:
    """The larger picture for a reader's eyes, without any identity."""
    with current.system().database.read() as session:
        scans.ready_rendition(session, scan_id)
    etag = f"{scan_id}-display"
    return picture_not_modified(etag) or picture(_stored(display_key(scan_id)), "image/jpeg", etag, DISPLAY_KEPT_S)


@blueprint.get("/heatmap.png")
@blueprint.arguments(PictureQuery, location="query")
@blueprint.response(200, content_type="image/png")
@blueprint.alt_response(404, schema=Problem)
def heatmap(query: dict[str, str | None], scan_id: str) -> Response:
    """Where the network looked: a transparent overlay that lies exactly over the rendition and the display image."""
    # Pillow is loaded with the first picture, not with the process.
    from screening.inference.maps import heatmap_png

    with current.system().database.read() as session:
        shown = scans.ready_rendition(session, scan_id)
        checkpoint_id, packed = scans.activation_map(session, scan_id, query["checkpoint"])
    etag = f"{scan_id}-map-{checkpoint_id}"
    return picture_not_modified(etag) or picture(
        heatmap_png(packed, shown.width or 1, shown.height or 1), "image/png", etag, RENDITION_KEPT_S
    )


def _stored(key: str) -> bytes:
    try:
        return current.system().storage.get(key)
    except ObjectMissing:
        raise _missing() from None


def _missing() -> NotFound:
    return NotFound("picture_missing", "This picture is not in the storage any more. Ask the operator to restore it.")
