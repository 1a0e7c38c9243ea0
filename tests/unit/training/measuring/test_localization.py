"""Where maps point, on cases worked out by hand; and the geometry, on a real network."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.unit.training.measuring.samples import make_examples
from training.learning.networks import GreyResNet18
from training.measuring.bootstrap import group_weights
from training.measuring.localization import covered, enlarge, locate, measure_localization, peak
from training.measuring.sizes import picture_sizes

WHOLE = (0, 0, 256, 256)


def hot(row: int, column: int, cells: int = 8) -> np.ndarray:
    values = np.full((cells, cells), -1.0, np.float32)
    values[row, column] = 4
    return values


def test_a_cell_is_centred_on_the_pixel_32_times_its_index() -> None:
    """An impulse on pixel 32i spreads evenly around cell i; half a cell on, evenly around i + 1/2."""
    network = GreyResNet18(0.0, 1.0).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(1e-3 if parameter.ndim > 1 else 1.0)
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
        answers = []
        for lit in (slice(224, 225), slice(239, 242)):  # centred on pixel 224, and on 240, half a cell further on
            picture = torch.zeros(1, 1, 480, 480)
            picture[0, 0, lit, lit] = 1.0
            answers.append(network.stages(picture).last[0].sum(0).sum(1).double().numpy())
    on_centre, between = (answer / answer.sum() for answer in answers)
    assert float(on_centre @ np.arange(15)) == pytest.approx(7, abs=0.02)
    np.testing.assert_allclose(on_centre, on_centre[::-1], rtol=1e-3, atol=1e-9)
    assert float(between @ np.arange(15)) == pytest.approx(7.5, abs=0.1)


def test_enlarging_puts_each_cell_on_its_pixel() -> None:
    values = np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32)
    enlarged = enlarge(values, 256)
    np.testing.assert_allclose(enlarged[::32, ::32], values, atol=1e-6)
    assert enlarged[16, 0] == pytest.approx((values[0, 0] + values[1, 0]) / 2)
    assert enlarged[255, 255] == pytest.approx(values[7, 7])


def test_one_cell_is_enlarged_evenly() -> None:
    assert (enlarge(np.ones((1, 1), np.float32), 32) == 1).all()


@pytest.mark.parametrize(
    ("box", "strict", "near"),
    [
        ((100, 100, 120, 120), False, True),  # the cell 3, 3 is centred on 96 and ends at 112
        ((90, 90, 100, 100), True, True),
        ((113, 113, 140, 140), False, False),
        ((100, 90, 110, 100), False, True),
    ],
)
def test_a_peak_counts_strictly_or_within_half_a_cell(box: tuple[int, int, int, int], strict: bool, near: bool) -> None:
    y0, x0, y1, x1 = (edge / 256 for edge in box)
    found = locate(hot(3, 3), WHOLE, [(x0, y0, x1, y1)], 256)
    assert (found.peak_in_box, found.peak_near_box) == (strict, near)


def test_the_peak_is_sought_in_the_picture_and_not_on_the_black_around_it() -> None:
    content = (0, 64, 256, 192)
    values = hot(2, 0) + hot(5, 4) * 0.5
    assert peak(values, content) == (160.5, 128.5)
    assert peak(hot(2, 6), content)[1] == 191.5  # the cell is centred on 192, just beside the picture


def test_chance_is_the_share_of_the_picture_that_is_box() -> None:
    found = locate(hot(3, 3), (0, 64, 256, 192), [(0.0, 0.25, 0.5, 0.75)], 256)
    assert found.chance_in_box == pytest.approx(0.25)
    assert found.chance_near_box == pytest.approx((64 + 16) * (128 + 32) / (128 * 256))


def test_overlap_and_energy_of_a_map_that_is_right_and_of_one_that_says_nothing() -> None:
    right = locate(np.full((8, 8), 2.0, np.float32), WHOLE, [(0, 0, 1, 1)], 256)
    assert (right.overlap, right.energy_in_box) == pytest.approx((1, 1))
    half = locate(np.full((8, 8), 2.0, np.float32), WHOLE, [(0, 0, 0.5, 1)], 256)
    assert (half.overlap, half.energy_in_box) == pytest.approx((0.5, 0.5))
    nothing = locate(np.full((8, 8), -1.0, np.float32), WHOLE, [(0, 0, 0.5, 1)], 256)
    assert (nothing.overlap, nothing.energy_in_box) == (0, 0)


def test_boxes_that_cover_parts_of_pixels_and_each_other_count_once() -> None:
    assert covered([(0.5, 0, 2, 1), (0.5, 0, 2, 1)], 4).sum() == pytest.approx(1.5)


def test_shares_are_over_fractured_scans_with_boxes(tmp_path: Path) -> None:
    examples = make_examples(tmp_path, [True, True, False, True], list("abcd"), width=256, height=256)
    examples[3] = replace(examples[3], boxes=())
    # The box lies from 25.6 to 76.8 across and from 25.6 to 51.2 down: cell 1, 1 is in it.
    maps = np.stack([hot(1, 1), hot(6, 6), hot(1, 1), hot(1, 1)])
    weights = group_weights(list("abcd"), draws=200)
    found = measure_localization(maps, examples, 256, picture_sizes(examples), weights)
    assert found["fractured_with_boxes"] == 2
    assert found["peak_in_box"]["share"] == 0.5
    assert found["peak_in_box"]["chance"] == pytest.approx(0.02)
    assert found["peak_in_box"]["interval_95"] == [0.0, 1.0]
    assert 0 < found["overlap"]["share"] < 0.5
    without = [replace(e, boxes=()) for e in examples]
    assert measure_localization(maps, without, 256, picture_sizes(without), weights) == {"fractured_with_boxes": 0}


def test_maps_of_another_stride_are_refused(tmp_path: Path) -> None:
    examples = make_examples(tmp_path, [True], ["a"])
    with pytest.raises(ValueError, match="are not 8x8"):
        measure_localization(np.zeros((1, 16, 16), np.float32), examples, 256, picture_sizes(examples), np.ones((1, 1)))
