"""The registry of checkpoints: which are known, which one is active, and which operating point applies."""

import json
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from screening import audit
from screening.database.engine import Database
from screening.database.tables import Checkpoint, OperatingPointChange
from screening.errors import Conflict, NotFound, Refused
from screening.inference.bundle import CARD, Bundle, read_bundle
from screening.radiographs.rendition_spec import RenditionSpec
from screening.storage import Storage, checkpoint_key


def register(
    database: Database, storage: Storage, now: datetime, bundle: Bundle, form: str, actor: str
) -> tuple[str, bool]:
    """Make one form of a bundle known: (its id, whether it was new). Its files are copied to storage first.

    The first checkpoint of an installation becomes the active one. Registering it again changes nothing.
    """
    if form not in bundle.forms:
        raise Refused("unknown_form", f"{bundle.name} has no form {form}. Choose one of {', '.join(bundle.forms)}.")
    checkpoint_id = bundle.identity(form)
    with database.read() as session:
        if session.get(Checkpoint, checkpoint_id) is not None:
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
                reason="the default of the card",
                set_by=actor,
                set_at=now,
            )
        )
        audit.record(session, now, actor, "checkpoint.registered", checkpoint_id, {"name": bundle.name, "form": form})
    return checkpoint_id, True


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


def activate(session: Session, now: datetime, checkpoint_id: str, actor: str) -> Checkpoint:
    """Make this checkpoint the one that new runs use and the worklist shows. Raises NotFound."""
    chosen = get(session, checkpoint_id)
    former = session.scalar(select(Checkpoint.id).where(Checkpoint.active))
    if former == chosen.id:
        return chosen
    session.execute(update(Checkpoint).where(Checkpoint.active).values(active=False))
    session.execute(update(Checkpoint).where(Checkpoint.id == chosen.id).values(active=True, activated_at=now))
    audit.record(session, now, actor, "checkpoint.activated", chosen.id, {"former": former})
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


def operating_point_facts(session: Session, checkpoint_id: str) -> dict[str, object]:
    """What clients are told of the operating point in force, with what the card measured for it."""
    point = operating_point(session, checkpoint_id)
    checkpoint = get(session, checkpoint_id)
    measured: dict[str, object] = next(
        (p for p in checkpoint.card["forms"][checkpoint.form]["operating_points"] if p["threshold"] == point.threshold),
        {},
    )
    return {**measured, "name": point.name, "threshold": point.threshold, "checkpoint": checkpoint_id}


def rendition_spec(session: Session, spec: str) -> RenditionSpec:
    """The rendition spec with this hash, from any checkpoint that uses it. Raises NotFound."""
    card = session.scalar(select(Checkpoint.card).where(Checkpoint.rendition_spec == spec).limit(1))
    if card is None:
        raise NotFound("unknown_rendition", f"No checkpoint uses the rendition spec {spec}.")
    return RenditionSpec.from_dict(card["rendition"])


def fetch_bundle(storage: Storage, checkpoint_id: str, folder: Path) -> Bundle:
    """Copy a registered bundle from storage into `folder` (once) and read it. Raises BundleError or StorageError."""
    target = folder / checkpoint_id
    if not (target / CARD).exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="fetch-", dir=folder) as name:
            partial = Path(name) / checkpoint_id
            partial.mkdir()
            (partial / CARD).write_bytes(storage.get(checkpoint_key(checkpoint_id, CARD)))
            for file_name in _listed_files(partial):
                (partial / file_name).write_bytes(storage.get(checkpoint_key(checkpoint_id, file_name)))
            if not target.exists():
                partial.rename(target)
    return read_bundle(target)


def _listed_files(partial: Path) -> list[str]:
    return [name for name in json.loads((partial / CARD).read_text("utf-8"))["files"] if Path(name).name == name]
