"""The comparison worked out a second time, from the stored renditions on, without the product's own reckoning."""

# ruff: noqa: T201  what it prints is its result

from collections import Counter
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from scipy.stats import binomtest
from sqlalchemy import select

from screening.clock import utc_now
from screening.comparison.pairs import open_comparison
from screening.comparison.ranking import whole_comparison
from screening.comparison.summary import summarise
from screening.database.review_tables import Review
from screening.database.tables import Checkpoint, Scan
from screening.radiographs.rendition_file import load_rendition
from screening.storage import rendition_key
from screening.system import System

MOVED = 0.2
TOO_CLOSE = 1e-5
"""Two sums of floats in another order may lie on two sides of a threshold that is nearer than this."""


def review(system: System, truths: dict[str, bool]) -> None:
    """Every third scan is read by one reader, who is right; of those every seventh by a second one, who disagrees."""
    with system.database.write() as session:
        scans = session.execute(select(Scan.id, Scan.file_name).order_by(Scan.id)).all()
        for place, (scan, file_name) in enumerate(scans):
            fractured = truths[file_name.rsplit("/", 1)[-1]]
            readers = [fractured] if place % 3 == 0 else []
            readers += [not fractured] if place % 21 == 0 else []
            session.add_all(
                Review(
                    scan_id=scan,
                    reader=f"reader {number}",
                    verdict="fracture" if verdict else "no_fracture",
                    sampled=False,
                    reviewed_at=utc_now(),
                )
                for number, verdict in enumerate(readers)
            )


def check_comparison(system: System, before: str, after: str) -> None:
    """Print how far the product's list and numbers are from those that are worked out here."""
    with system.database.read() as session:
        comparison = open_comparison(session, before, after)
        listed = list(whole_comparison(session, comparison))
        summary = summarise(session, comparison)
        cards = {row.id: row.card for row in session.scalars(select(Checkpoint))}
        verdicts: dict[str, set[str]] = {}
        for scan, verdict in session.execute(select(Review.scan_id, Review.verdict)):
            verdicts.setdefault(scan, set()).add(verdict)
    order = [item.scan for item in listed]
    stored = np.array([(item.before, item.after) for item in listed])
    said = np.stack([probabilities(system, checkpoint, cards[checkpoint], order) for checkpoint in (before, after)], 1)
    print(f"{len(order):,} pairs; probabilities differ by at most {np.abs(stored - said).max():.1e}")
    points = np.array([thresholds(cards[checkpoint]) for checkpoint in (before, after)])
    bands = (said[:, :, None] >= points[None]).sum(axis=2)
    change = said[:, 1] - said[:, 0]
    close = (np.abs(said[:, :, None] - points[None]).min(axis=(1, 2)) < TOO_CLOSE) | (
        np.abs(np.abs(change) - MOVED) < TOO_CLOSE
    )
    kinds = [kind(int(b), int(a), abs(c) > MOVED) for (b, a), c in zip(bands, change, strict=True)]
    wrong = sum(item.kind != own and not near for item, own, near in zip(listed, kinds, close, strict=True))
    ranked = bool(np.all(np.diff(np.abs(change)) < TOO_CLOSE))
    print(f"scans of another kind: {wrong} ({close.sum()} too close to tell); the largest change first: {ranked}")
    print(f"counts here {dict(Counter(kinds))}, by the product {summary.counts}")
    truth = {scan: found == {"fracture"} for scan, found in verdicts.items() if len(found) == 1}
    reviewed = np.array([scan in truth for scan in order])
    fractured = np.array([truth.get(scan, False) for scan in order])
    print(f"reviewed here {reviewed.sum()}, by the product {summary.reviewed}")
    right = (bands > 0) == fractured[:, None]
    for name, group, of_product in (
        ("sensitivity", reviewed & fractured, summary.sensitivity),
        ("specificity", reviewed & ~fractured, summary.specificity),
    ):
        hits = right[group].sum(axis=0)
        low, high = binomtest(int(hits[1]), int(group.sum())).proportion_ci(method="wilson")
        print(
            f"{name} here {hits[0]} and {hits[1]} of {group.sum()} ({low:.4f} to {high:.4f} after); "
            f"by the product {of_product.before.hits} and {of_product.after.hits} of "
            f"{of_product.scans} ({of_product.after.interval_95[0]:.4f} to {of_product.after.interval_95[1]:.4f})"
        )


def kind(before: int, after: int, moved: bool) -> str:
    """Of two bands: 0 not flagged, 1 possible, 2 likely."""
    if before == after:
        return "moved" if moved else "unchanged"
    if before and after:
        return "band_changed"
    return "newly_flagged" if after else "no_longer_flagged"


def thresholds(card: dict[str, Any]) -> tuple[float, float]:
    form = card["forms"]["fp32"]
    points = {point["name"]: point["threshold"] for point in form["operating_points"]}
    return points[form["default_operating_point"]], form["likely"]["threshold"]


def probabilities(system: System, checkpoint: str, card: dict[str, Any], scans: list[str]) -> NDArray[np.float64]:
    """One rendition after the other through the graph as it was registered."""
    folder = system.settings.data_dir / "checkpoints" / checkpoint
    compiled = ov.Core().compile_model(folder / "fp32.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    with system.database.read() as session:
        spec = session.get_one(Checkpoint, checkpoint).rendition_spec
    side, logits = card["rendition"]["side"], []
    for scan in scans:
        picture = load_rendition(system.storage.get(rendition_key(scan, spec)))
        square = np.zeros((1, 1, side, side), np.uint8)
        top, left = (side - picture.shape[0]) // 2, (side - picture.shape[1]) // 2
        square[0, 0, top : top + picture.shape[0], left : left + picture.shape[1]] = picture
        logits.append(float(compiled(square)["logits"][0]))
    return 1 / (1 + np.exp(-np.array(logits)))
