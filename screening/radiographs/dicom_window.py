"""What a DICOM file says of how to show its values: the VOI LUT, or the window (PS3.3 C.11.2)."""

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from screening.radiographs.dicom_values import Unreadable, first_table, number, word

_TABLE_REMARK = "The file's own grey table (VOI LUT) cannot be read, so it was passed over."
_WINDOW_REMARK = "The window in the file cannot be read, so the whole range of values is shown."

Shown = tuple[NDArray[np.float64], tuple[float, float]]
"""What values become, and the range of what any value may become."""


def shown_by_the_file(linear: NDArray[np.float64], dataset: Dataset) -> tuple[Shown | None, list[str]]:
    """Apply the first VOI LUT, else the first window, to values after the modality LUT.

    None where the file has neither, or nothing that can be read: the picture is worth more than a hint for its
    display. Remarks say what was passed over.
    """
    remarks: list[str] = []
    try:
        table = first_table(dataset, "VOILUTSequence", float(linear.min()))
        if table is not None:
            return (table(linear), (float(table.entries.min()), float(table.entries.max()))), remarks
    except Unreadable:
        remarks.append(_TABLE_REMARK)
    try:
        return _windowed(linear, dataset), remarks
    except Unreadable:
        return None, [*remarks, _WINDOW_REMARK]


def _windowed(linear: NDArray[np.float64], dataset: Dataset) -> Shown | None:
    """PS3.3 C.11.2.1.2.1 (LINEAR), C.11.2.1.3.1 (SIGMOID) and C.11.2.1.3.2 (LINEAR_EXACT).

    The standard leaves the range of the output open. It is that of the stored bits here, and never depends on the
    rescale slope: one below zero would exchange dark and bright.
    """
    centre, width = number(dataset, "WindowCenter"), number(dataset, "WindowWidth")
    function = word(dataset, "VOILUTFunction") or "LINEAR"
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        raise Unreadable("VOILUTFunction")
    if centre is None or width is None or width <= 0 or (function == "LINEAR" and width < 1):
        return None
    most = float(2**dataset.BitsStored - 1)
    if function == "SIGMOID":
        return most / (1 + np.exp(-4 * (linear - centre) / width)), (0.0, most)
    if function == "LINEAR":
        centre, width = centre - 0.5, width - 1
    shown = np.where(linear <= centre - width / 2, 0.0, most)
    inside = (linear > centre - width / 2) & (linear <= centre + width / 2)
    shown[inside] = ((linear[inside] - centre) / width + 0.5) * most
    return shown, (0.0, most)
