"""One file's bytes to everything that is kept of it: rendition, display image, facts. Runs inside the limited child.

Training calls it directly, on files that it trusts, and so sees the very renditions that screening sees.
"""

import time
from dataclasses import replace

from screening.radiographs.decode import decode
from screening.radiographs.dicom_words import FILLS_THE_FILM
from screening.radiographs.display import encode_display, make_display
from screening.radiographs.facts import Prepared
from screening.radiographs.greys import looks_inverted, working_side
from screening.radiographs.limits import DecodeLimits
from screening.radiographs.problems import Unscreenable
from screening.radiographs.rendition import make_rendition
from screening.radiographs.rendition_file import encode_rendition
from screening.radiographs.rendition_spec import RenditionSpec

_SMALLEST_SIDE = 48
_INVERTED_REMARK = "The picture looks inverted (bone dark on a bright ground). It was left as the file states it."


def prepare(data: bytes, spec: RenditionSpec, limits: DecodeLimits) -> Prepared:
    """Decode one file and make its pictures. Raises Unscreenable with the reason where that cannot be done.

    Honours the limits on bytes and pixels; those on memory and time are the child's.
    """
    started = time.perf_counter()
    radiograph = decode(data, limits, working_side(spec.side))
    decoded = time.perf_counter()
    facts = radiograph.facts
    if min(facts.rows, facts.columns) < _SMALLEST_SIDE:
        raise Unscreenable(
            "too_small",
            f"The picture has only {facts.columns} x {facts.rows} pixels, too few to show a bone. "
            "Send the original, not a preview of it.",
        )
    rendition = make_rendition(radiograph.grey, spec)
    if not rendition.any():
        raise Unscreenable(
            "no_contrast", "The picture is one grey all over. Look at it where it was exported, and export it again."
        )
    if facts.body_part not in FILLS_THE_FILM and looks_inverted(rendition):
        facts = replace(facts, remarks=(*facts.remarks, _INVERTED_REMARK))
    display = make_display(radiograph.grey, radiograph.shown)
    rendition_png, display_jpeg = encode_rendition(rendition), encode_display(display)
    return Prepared(
        rendition_png=rendition_png,
        rendition_size=(rendition.shape[1], rendition.shape[0]),
        display_jpeg=display_jpeg,
        display_size=(display.shape[1], display.shape[0]),
        facts=facts,
        seconds={"decode": decoded - started, "rendition": time.perf_counter() - decoded},
    )
