"""The registry of checkpoints: which are known, which one is active, and which operating point applies."""

import json
import os
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from screening import audit
from screening.card_points import measured_at
from screening.database.engine import Database
from screening.database.tables import Checkpoint, OperatingPointChange
from screening.errors import Conflict, NotFound, Refused
from screening.inference.bundle import CARD, Bundle, BundleError, file_digest, read_bundle
from screening.radiographs.rendition_spec import RenditionSpec
from screening.storage import Storage, checkpoint_key


def register(
    database: Database, storage: Storage, now: datetime, bundle: Bundle, form: str, actor: str
) -> tuple[str, bool]:
    """Make one form of a bundle known: (its id, whether it was new). Its files are copied to storage first.

    The first checkpoint of an installation becomes the active one. Registering it again changes nothing, unless its
    card was of an older format: then the card of the bundle takes the place of the one that is kept.
    """
    if form not in bundle.forms:
        raise Refused("unknown_form", f"{bundle.name} has no form {form}. Choose one of {', '.join(bundle.forms)}.")
    checkpoint_id = bundle.identity(form)
    with database.read() as session:
        known = session.get(Checkpoint, checkpoint_id)
    if known is not None:
        if known.card["format"] < bundle.card["format"]:
            _renew_card(database, storage, now, bundle, checkpoint_id, actor)
        return checkpoint_id, False
    for name in (CARD, *bundle.files):
        storage.put(checkpoint_key(checkpoint_id, name), (bundle.folder / name).read_bytes())
    with database.write() as session:
        if session.get(Checkpoint, checkpoint_id) is not None:
            return checkpoint_id, False
        first = session.scalar(select(Checkpoint.id).limit(1)) is None
        session.add(
            Checkpoint(
                id=checkpoint_id,
                name=bundle.name,
                form=form,
                active=first,
                rendition_spec=bundle.rendition.hash,
                card=bundle.card,
                registered_at=now,
                activated_at=now if first else None,
            )
        )
        session.flush()
        point = bundle.forms[form].default_point
        session.add(
            OperatingPointChange(
                checkpoint_id=checkpoint_id,
                name=point.name,
                threshold=point.threshold,
                likely_threshold=bundle.forms[form].likely.threshold,
                reason="the default of the card",
                set_by=actor,
                set_at=now,
            )
        )
        audit.record(session, now, actor, "checkpoint.registered", checkpoint_id, {"name": bundle.name, "form": form})
    return checkpoint_id, True


def _renew_card(
    database: Database, storage: Storage, now: datetime, bundle: Bundle, checkpoint_id: str, actor: str
) -> None:
    """Keep this card of the same files, and put its likely threshold in force; the operating point stays as it is."""
    storage.put(checkpoint_key(checkpoint_id, CARD), (bundle.folder / CARD).read_bytes())
    with database.write() as session:
        checkpoint = get(session, checkpoint_id)
        checkpoint.card = bundle.card
        point = operating_point(session, checkpoint_id)
        likely = bundle.forms[checkpoint.form].likely.threshold
        session.add(
            OperatingPointChange(
                checkpoint_id=checkpoint_id,
                name=point.name,
                threshold=point.threshold,
                likely_threshold=max(likely, point.threshold),
                reason="the likely threshold of the card",
                set_by=actor,
                set_at=now,
            )
        )
        audit.record(session, now, actor, "checkpoint.card_renewed", checkpoint_id, {"format": bundle.card["format"]})


def all_checkpoints(session: Session) -> Sequence[Checkpoint]:
    return session.scalars(select(Checkpoint).order_by(Checkpoint.registered_at, Checkpoint.id)).all()


def get(session: Session, checkpoint_id: str) -> Checkpoint:
    """Raises NotFound."""
    checkpoint = session.get(Checkpoint, checkpoint_id)
    if checkpoint is None:
        raise NotFound(
            "unknown_checkpoint", f"There is no checkpoint {checkpoint_id}. `screening checkpoint list` names them."
        )
    return checkpoint


def active(session: Session) -> Checkpoint:
    """The checkpoint that new runs use. Raises Conflict where none is registered."""
    checkpoint = session.scalar(select(Checkpoint).where(Checkpoint.active))
    if checkpoint is None:
        raise Conflict("no_checkpoint", "No checkpoint is active. Register one with `screening checkpoint register`.")
    return checkpoint


def activate(session: Session, now: datetime, checkpoint_id: str, actor: str, reason: str = "") -> Checkpoint:
    """Make this checkpoint the one that new runs use and the worklist shows. Raises NotFound.

    The audit trail keeps the former one and the reason, if one is given.
    """
    chosen = get(session, checkpoint_id)
    former = session.scalar(select(Checkpoint.id).where(Checkpoint.active))
    if former == chosen.id:
        return chosen
    session.execute(update(Checkpoint).where(Checkpoint.active).values(active=False))
    session.execute(
        update(Checkpoint).where(Checkpoint.id == chosen.id).values(active=True, candidate=False, activated_at=now)
    )
    detail = {"former": former, **({"reason": reason.strip()} if reason.strip() else {})}
    audit.record(session, now, actor, "checkpoint.activated", chosen.id, detail)
    session.refresh(chosen)
    return chosen


def operating_point(session: Session, checkpoint_id: str) -> OperatingPointChange:
    """The operating point in force. Every registered checkpoint has one."""
    return session.scalars(
        select(OperatingPointChange)
        .where(OperatingPointChange.checkpoint_id == checkpoint_id)
        .order_by(OperatingPointChange.id.desc())
        .limit(1)
    ).one()


def operating_point_facts(session: Session, checkpoint_id: str) -> dict[str, Any]:
    """What clients are told of the operating point in force, with what the card measured for it.

    `likely` is what the card measured for the likely threshold, or None where another one is in force.
    """
    point = operating_point(session, checkpoint_id)
    checkpoint = get(session, checkpoint_id)
    form: dict[str, Any] = checkpoint.card["forms"][checkpoint.form]
    likely: dict[str, Any] | None = form.get("likely")
    if likely is not None and likely["threshold"] != point.likely_threshold:
        likely = None
    return {
        **(measured_at(form, point.threshold) or {}),
        "name": point.name,
        "threshold": point.threshold,
        "likely_threshold": point.likely_threshold,
        "likely": likely,
        "checkpoint": checkpoint_id,
    }


def card_threshold(session: Session, checkpoint_id: str, name: str) -> float:
    """The threshold of the card's operating point with this name. Raises NotFound."""
    checkpoint = get(session, checkpoint_id)
    points = {p["name"]: p["threshold"] for p in checkpoint.card["forms"][checkpoint.form]["operating_points"]}
    if name not in points:
        raise NotFound(
            "unknown_operating_point",
            f"The card of {checkpoint_id} has no operating point {name}. Choose one of {', '.join(points)}, or a "
            "threshold from 0 to 1.",
        )
    return float(points[name])


def set_operating_point(
    session: Session,
    now: datetime,
    checkpoint_id: str,
    threshold: float,
    likely_threshold: float | None,
    reason: str,
    actor: str,
) -> OperatingPointChange:
    """Put thresholds in force; lists are ranked by them at once. Without a likely threshold the present one stays.

    Raises NotFound for an unknown checkpoint, and Refused where a value is out of range, the likely threshold would lie
    below the other, or the reason is empty.
    """
    checkpoint = get(session, checkpoint_id)
    present = operating_point(session, checkpoint_id)
    likely = present.likely_threshold if likely_threshold is None else likely_threshold
    if not (0 <= threshold <= 1 and 0 <= likely <= 1):
        raise Refused("bad_threshold", "A threshold is a probability. Give a value from 0 to 1.")
    if likely < threshold and likely_threshold is None:
        raise Refused(
            "likely_below_threshold",
            f"The threshold {threshold:g} lies over the likely threshold in force, {likely:g}. Give a likely threshold "
            f"of at least {threshold:g}, too.",
        )
    if likely < threshold:
        raise Refused(
            "likely_below_threshold",
            f"The likely threshold {likely:g} lies below the threshold {threshold:g}, but what is likely is a part of "
            f"what is flagged. Give a likely threshold of at least {threshold:g}.",
        )
    if not reason.strip():
        raise Refused("no_reason", "A change of the operating point needs a reason. Say in a few words why.")
    measured = measured_at(checkpoint.card["forms"][checkpoint.form], threshold) or {}
    change = OperatingPointChange(
        checkpoint_id=checkpoint_id,
        name=measured.get("name", "custom"),
        threshold=threshold,
        likely_threshold=likely,
        reason=reason.strip(),
        set_by=actor,
        set_at=now,
    )
    session.add(change)
    former = {"threshold": present.threshold, "likely_threshold": present.likely_threshold}
    detail = {"threshold": threshold, "likely_threshold": likely, "reason": change.reason, "former": former}
    audit.record(session, now, actor, "operating_point.set", checkpoint_id, detail)
    session.flush()
    return change


def rendition_spec(session: Session, spec: str) -> RenditionSpec:
    """The rendition spec with this hash, from any checkpoint that uses it. Raises NotFound."""
    card = session.scalar(select(Checkpoint.card).where(Checkpoint.rendition_spec == spec).limit(1))
    if card is None:
        raise NotFound("unknown_rendition", f"No checkpoint uses the rendition spec {spec}.")
    return RenditionSpec.from_dict(card["rendition"])


def fetch_bundle(storage: Storage, checkpoint_id: str, folder: Path) -> Bundle:
    """Copy a registered bundle from storage into `folder` (once) and read it; a copy that was damaged is mended.

    Raises BundleError or StorageError.
    """
    target = folder / checkpoint_id
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="fetch-", dir=folder) as name:
            partial = Path(name) / checkpoint_id
            partial.mkdir()
            _fetch_what_differs(storage, checkpoint_id, partial)
            if not target.exists():
                partial.rename(target)
    try:
        return read_bundle(target)
    except BundleError:
        # The copy may be damaged, or older than the card that is kept now.
        _fetch_what_differs(storage, checkpoint_id, target)
        return read_bundle(target)


def _fetch_what_differs(storage: Storage, checkpoint_id: str, folder: Path) -> None:
    """Bring the card anew, and each file that is not there as the card says.

    What is there is replaced by a rename: an engine that has the former file open goes on with it.
    """

    def fetch(name: str) -> None:
        partial = folder / f".{name}-{os.getpid()}"
        partial.write_bytes(storage.get(checkpoint_key(checkpoint_id, name)))
        partial.replace(folder / name)

    fetch(CARD)
    for name, digest in _listed_files(folder).items():
        if not (folder / name).is_file() or file_digest(folder / name) != digest:
            fetch(name)


def _listed_files(folder: Path) -> dict[str, str]:
    """The files of a card with their SHA-256; none where it is not understood, which reading the bundle tells."""
    try:
        files = json.loads((folder / CARD).read_text("utf-8"))["files"]
        return {name: digest for name, digest in files.items() if Path(name).name == name}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
