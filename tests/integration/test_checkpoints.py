"""The registry: cards that are renewed, and operating points that are set with a reason."""

import json
import math
import shutil
from pathlib import Path

import pytest
from sqlalchemy import select

from screening import checkpoints
from screening.clock import utc_now
from screening.database.engine import Database
from screening.database.tables import AuditEvent, Checkpoint, OperatingPointChange
from screening.errors import NotFound, Refused
from screening.inference.bundle import CARD, Bundle, BundleError, read_bundle
from screening.storage import ObjectMissing, Storage, checkpoint_key, open_storage


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return open_storage(f"file://{tmp_path / 'objects'}")


@pytest.fixture
def registered(database: Database, storage: Storage, random_bundle: Bundle) -> str:
    checkpoint_id, new = checkpoints.register(database, storage, utc_now(), random_bundle, "fp32", "test")
    assert new
    return checkpoint_id


def in_force(database: Database, checkpoint_id: str) -> tuple[str, float, float]:
    with database.read() as session:
        point = checkpoints.operating_point(session, checkpoint_id)
        return point.name, point.threshold, point.likely_threshold


def set_point(
    database: Database, checkpoint_id: str, threshold: float, likely: float | None = None, reason: str = "fewer reads"
) -> None:
    with database.write() as session:
        checkpoints.set_operating_point(session, utc_now(), checkpoint_id, threshold, likely, reason, "ada")


def test_a_new_checkpoint_has_the_thresholds_of_its_card(database: Database, registered: str) -> None:
    assert in_force(database, registered) == ("sensitivity-90", 0.5, 0.75)
    with database.read() as session:
        facts = checkpoints.operating_point_facts(session, registered)
    assert (facts["threshold"], facts["likely_threshold"]) == (0.5, 0.75)
    assert facts["sensitivity_lower_95"] == pytest.approx(0.82)
    assert facts["likely"]["target_specificity"] == 0.95


def test_thresholds_are_set_together_or_the_lower_one_alone(database: Database, registered: str) -> None:
    set_point(database, registered, 0.3)
    assert in_force(database, registered) == ("sensitivity-95", 0.3, 0.75)
    set_point(database, registered, 0.41, 0.8)
    assert in_force(database, registered) == ("custom", 0.41, 0.8)
    with database.read() as session:
        facts = checkpoints.operating_point_facts(session, registered)
        event = session.scalars(select(AuditEvent).order_by(AuditEvent.id.desc()).limit(1)).one()
    assert facts["likely"] is None, "figures of another threshold would be another promise"
    assert "sensitivity" not in facts
    assert (event.actor, event.action, event.subject) == ("ada", "operating_point.set", registered)
    assert event.detail == {
        "threshold": 0.41,
        "likely_threshold": 0.8,
        "reason": "fewer reads",
        "former": {"threshold": 0.3, "likely_threshold": 0.75},
    }


@pytest.mark.parametrize(
    ("threshold", "likely", "reason", "words"),
    [
        (
            0.8,
            None,
            "why",
            "over the likely threshold in force, 0.75. Give a likely threshold of at least 0.8, too",
        ),
        (0.5, 0.4, "why", "likely threshold 0.4 lies below the threshold 0.5"),
        (-0.1, None, "why", "from 0 to 1"),
        (0.5, 1.1, "why", "from 0 to 1"),
        (math.nan, None, "why", "from 0 to 1"),
        (0.5, math.nan, "why", "from 0 to 1"),
        (0.4, 0.6, " ", "needs a reason"),
    ],
)
def test_thresholds_that_do_not_fit_are_refused_in_a_sentence(
    database: Database, registered: str, threshold: float, likely: float | None, reason: str, words: str
) -> None:
    with pytest.raises(Refused, match=words):
        set_point(database, registered, threshold, likely, reason)
    assert in_force(database, registered) == ("sensitivity-90", 0.5, 0.75)


def test_points_of_the_card_are_known_by_name(database: Database, registered: str) -> None:
    with database.read() as session:
        assert checkpoints.card_threshold(session, registered, "sensitivity-80") == 0.6
        with pytest.raises(NotFound, match="Choose one of sensitivity-80, sensitivity-90, sensitivity-95"):
            checkpoints.card_threshold(session, registered, "strict")


def test_a_card_of_an_older_format_is_renewed_when_its_bundle_comes_again(
    database: Database, storage: Storage, random_bundle: Bundle, registered: str, tmp_path: Path
) -> None:
    """An installation of the release before: old card in the database, in storage and in a worker's own copy."""
    old = json.loads((random_bundle.folder / CARD).read_text("utf-8"))
    old["format"] = 1
    del old["forms"]["fp32"]["likely"]
    copies = tmp_path / "copies"
    shutil.copytree(random_bundle.folder, copies / registered)
    storage.put(checkpoint_key(registered, CARD), json.dumps(old).encode())
    (copies / registered / CARD).write_text(json.dumps(old), "utf-8")
    with database.write() as session:
        session.get_one(Checkpoint, registered).card = old
        point = session.scalars(select(OperatingPointChange)).one()
        point.threshold, point.likely_threshold = 0.6, 0.6
    with pytest.raises(BundleError, match="export the bundle again"):
        checkpoints.fetch_bundle(storage, registered, copies)

    assert checkpoints.register(database, storage, utc_now(), random_bundle, "fp32", "test") == (registered, False)
    assert in_force(database, registered)[1:] == (0.6, 0.75), "the operating point that a person chose stays"
    with database.read() as session:
        assert checkpoints.get(session, registered).card["format"] == random_bundle.card["format"]
    assert checkpoints.fetch_bundle(storage, registered, copies).forms["fp32"].likely.threshold == 0.75
    assert read_bundle(copies / registered).card == random_bundle.card

    checkpoints.register(database, storage, utc_now(), random_bundle, "fp32", "test")
    with database.read() as session:
        assert len(session.scalars(select(OperatingPointChange)).all()) == 2, "renewed once"


@pytest.mark.parametrize("name", ["fp32.bin", "golden.safetensors", CARD])
@pytest.mark.parametrize("harm", ["altered", "gone"])
def test_a_damaged_copy_is_mended_with_what_differs(
    storage: Storage, registered: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, harm: str
) -> None:
    copies = tmp_path / "copies"
    whole = checkpoints.fetch_bundle(storage, registered, copies)
    path = whole.folder / name
    right = path.read_bytes()
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes(right[:-1])
    brought: list[str] = []
    get = type(storage).get
    monkeypatch.setattr(type(storage), "get", lambda self, key: brought.append(key) or get(self, key))
    assert checkpoints.fetch_bundle(storage, registered, copies) == whole
    assert path.read_bytes() == right
    assert brought == [checkpoint_key(registered, item) for item in dict.fromkeys((CARD, name))]
    brought.clear()
    checkpoints.fetch_bundle(storage, registered, copies)
    assert brought == []
    assert not list(whole.folder.glob(".*"))


def test_a_copy_of_what_is_damaged_in_storage_is_refused(storage: Storage, registered: str, tmp_path: Path) -> None:
    for key, data in ((checkpoint_key(registered, "fp32.bin"), b"rotten"), (checkpoint_key(registered, CARD), b"{")):
        storage.put(key, data)
        for _ in range(2):
            with pytest.raises(BundleError, match="copy the bundle again"):
                checkpoints.fetch_bundle(storage, registered, tmp_path / "copies")
    storage.delete(checkpoint_key(registered, CARD))
    with pytest.raises(ObjectMissing):
        checkpoints.fetch_bundle(storage, registered, tmp_path / "copies")
