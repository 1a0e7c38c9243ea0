"""The checkpoint bundle: a folder with a card, weights in each deployed form, and golden tensors.

    card.json                what it is, how it was measured, and the SHA-256 of every other file
    model.safetensors        ResNet-18 weights, first convolution folded to one channel: filters as int8 with a step per
                             output channel (`NAME.step`), everything else fp16; `input.mean` and `input.std`, and
                             `pool.peak`, what a map's largest value counts beside its mean (without it: nothing)
    fp32.xml, fp32.bin       OpenVINO form; `int8.xml, int8.bin` likewise
    golden.safetensors       `renditions` (k, side, side) uint8 and, for each form F, `F.probabilities` (k,) float32
                             and `F.maps` (k, h, w) float32: what an engine must reproduce before it serves

A form (fp32, int8) has its own operating points, likely threshold and figures, because they are measured on that form
itself; each form is registered as a checkpoint of its own.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from screening.radiographs.rendition_spec import RenditionSpec

CARD = "card.json"
CARD_FORMAT = 2
"""2: every form has a likely threshold."""
GOLDEN = "golden.safetensors"
WEIGHTS = "model.safetensors"


class BundleError(Exception):
    """A checkpoint bundle that cannot be used; the message says what is wrong and what to do."""


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold on the probability and what it was measured to give."""

    name: str
    target_sensitivity: float
    threshold: float
    sensitivity: float
    sensitivity_lower_95: float
    """One-sided 95% lower bound of the sensitivity: the lower of Clopper-Pearson's and that over draws of groups."""
    specificity: float
    ppv: float
    npv: float


@dataclass(frozen=True)
class LikelyPoint:
    """The threshold at and over which a flagged scan is called likely, and what it was measured to give."""

    threshold: float
    target_specificity: float
    """What it was chosen for, on scans that did not measure it."""
    sensitivity: float
    specificity: float
    ppv: float
    npv: float


@dataclass(frozen=True)
class Form:
    """One deployed form of the weights."""

    name: str
    operating_points: tuple[OperatingPoint, ...]
    default_operating_point: str
    likely: LikelyPoint
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def default_point(self) -> OperatingPoint:
        return next(p for p in self.operating_points if p.name == self.default_operating_point)


@dataclass(frozen=True)
class Bundle:
    """A bundle that was read and whose file hashes were checked."""

    folder: Path
    name: str
    rendition: RenditionSpec
    forms: dict[str, Form]
    default_form: str
    files: dict[str, str]
    card: dict[str, Any]

    def identity(self, form: str) -> str:
        """Sixteen hex digits that name one form of this bundle: the id of its checkpoint row."""
        parts = [form, self.rendition.hash, *(f"{name} {digest}" for name, digest in sorted(self.files.items()))]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def file_digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_bundle(folder: Path) -> Bundle:
    """Read and verify a bundle. Raises BundleError when a file is missing, altered or not understood."""
    try:
        card = json.loads((folder / CARD).read_text("utf-8"))
    except FileNotFoundError:
        raise BundleError(f"{folder} has no {CARD}; name the folder of a checkpoint bundle") from None
    except (OSError, ValueError) as error:
        raise BundleError(f"{folder / CARD} cannot be read ({error}); copy the bundle again") from error
    try:
        _check_format(folder, card["format"])
        forms = {
            name: Form(
                name=name,
                operating_points=tuple(OperatingPoint(**point) for point in body["operating_points"]),
                default_operating_point=body["default_operating_point"],
                likely=LikelyPoint(**body["likely"]),
                figures=body["figures"],
            )
            for name, body in card["forms"].items()
        }
        bundle = Bundle(
            folder=folder,
            name=card["name"],
            rendition=RenditionSpec.from_dict(card["rendition"]),
            forms=forms,
            default_form=card["default_form"],
            files=dict(card["files"]),
            card=card,
        )
        bundle.forms[bundle.default_form].default_point  # noqa: B018  a card must name points that it has
        for form in forms.values():
            _check_likely(folder, form)
    except (KeyError, TypeError, ValueError, StopIteration) as error:
        raise BundleError(f"{folder / CARD} is incomplete ({error!r}); export the bundle again") from error
    _check_files(bundle)
    return bundle


def _check_format(folder: Path, found: object) -> None:
    if found == 1:
        raise BundleError(
            f"{folder} has a card of format 1, which has no likely threshold; export the bundle again with this "
            "release (python -m training.export)"
        )
    if found != CARD_FORMAT:
        raise BundleError(
            f"{folder} has card format {found}, this release reads format {CARD_FORMAT}; update this installation"
        )


def _check_likely(folder: Path, form: Form) -> None:
    """The band likely is a part of what is flagged, so its threshold may not lie below the operating point's."""
    if not form.default_point.threshold <= form.likely.threshold <= 1:
        raise BundleError(
            f"{folder / CARD} puts the likely threshold of {form.name} at {form.likely.threshold}, outside "
            f"the range from its default operating point ({form.default_point.threshold}) to 1; export the bundle again"
        )


def _check_files(bundle: Bundle) -> None:
    required = {GOLDEN, WEIGHTS, *(f"{form}.{ending}" for form in bundle.forms for ending in ("xml", "bin"))}
    unlisted = required - bundle.files.keys()
    if unlisted:
        raise BundleError(f"{bundle.folder / CARD} does not list {', '.join(sorted(unlisted))}; export it again")
    for name, expected in bundle.files.items():
        path = bundle.folder / name
        if Path(name).name != name or not path.is_file():
            raise BundleError(f"{bundle.folder} lacks {name}; copy the bundle again")
        if file_digest(path) != expected:
            raise BundleError(f"{path} does not match the SHA-256 in the card; copy the bundle again")
