"""Cell i of a map is centred on input pixel 32i: a picture changed there changes the map there."""

from pathlib import Path

import numpy as np

from screening.inference.choice import open_engine
from screening.inference.maps import CELL
from tests.bundles import make_random_bundle


def test_a_cell_looks_at_the_pixel_that_the_overlay_gives_it(tmp_path: Path) -> None:
    engine = open_engine("openvino", make_random_bundle(tmp_path, side=256, seed=2), "fp32")
    without = np.random.default_rng(0).integers(60, 120, (16, 256, 256), dtype=np.uint8)
    for row, column in ((3, 4), (4, 3)):
        dot = without.copy()
        y, x = row * CELL, column * CELL
        dot[:, y - 4 : y + 4, x - 4 : x + 4] = 255
        change = np.abs(engine.predict(dot).maps - engine.predict(without).maps).mean(axis=0) ** 2
        found_y = float(change.sum(axis=1) @ np.arange(8) / change.sum())
        found_x = float(change.sum(axis=0) @ np.arange(8) / change.sum())
        # Plain enlarging would put the cell half a cell further down and right.
        assert abs(found_y - row) < 0.25
        assert abs(found_x - column) < 0.25
