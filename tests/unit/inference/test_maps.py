"""Stored maps come back as they were, and the overlay lies over what the network looked at."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from screening.inference.maps import heatmap_png, pack_map, unpack_map
from screening.radiographs.rendition import content_box

SQUARE = (0, 0, 256, 256)


def overlay(packed: bytes, width: int, height: int) -> np.ndarray:
    picture = Image.open(io.BytesIO(heatmap_png(packed, width, height)))
    assert picture.format == "PNG"
    return np.asarray(picture.convert("RGBA"))


def test_a_map_survives_storage() -> None:
    values = np.random.default_rng(0).normal(0, 5, (8, 7)).astype(np.float32)
    packed = pack_map(values, (0, 16, 256, 240))
    assert len(packed) < 100
    stored = unpack_map(packed)
    assert (stored.height, stored.width, stored.box) == (8, 7, (0, 16, 256, 240))
    restored = np.array(stored.values).reshape(8, 7)
    np.testing.assert_allclose(restored, values, atol=float(np.ptp(values)) / 500)


def test_a_flat_map_survives_storage() -> None:
    stored = unpack_map(pack_map(np.full((2, 2), -1.25, np.float32), SQUARE))
    assert stored.values.tolist() == [-1.25] * 4


def test_a_map_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        pack_map(np.array([[0, np.inf]], np.float32), SQUARE)


@pytest.mark.parametrize("packed", [b"", b"\x01", b"\x02" + bytes(40), b"not a map, but long enough for a header"])
def test_other_bytes_are_refused(packed: bytes) -> None:
    with pytest.raises(ValueError, match="stored map"):
        unpack_map(packed)


def test_a_map_cut_short_is_refused() -> None:
    packed = pack_map(np.ones((8, 8), np.float32), SQUARE)
    with pytest.raises(ValueError, match="screen the scan again"):
        heatmap_png(packed[:-1], 10, 10)


def hot_cell(row: int, column: int, value: float = 20.0) -> np.ndarray:
    values = np.full((8, 8), -1.0, np.float32)
    values[row, column] = value
    return values


@pytest.mark.parametrize(("row", "column"), [(4, 4), (2, 6), (7, 1)])
def test_the_peak_lies_where_the_cell_looks(row: int, column: int) -> None:
    """Cell i is centred on input pixel 32i; see tests of the network's geometry in test_geometry."""
    picture = overlay(pack_map(hot_cell(row, column), SQUARE), 256, 256)
    alpha = picture[..., 3].astype(float)
    ys, xs = np.nonzero(alpha >= alpha.max() - 1)
    if row < 7:  # the last row's plateau runs to the edge
        assert abs(ys.mean() - 32 * row) < 3
    assert abs(xs.mean() - 32 * column) < 3


def test_the_letterbox_is_cut_off() -> None:
    box = content_box(256, 128, 256)
    assert box == (0, 64, 256, 192)
    picture = overlay(pack_map(hot_cell(4, 3), box), 128, 256)
    ys, xs = np.nonzero(picture[..., 3] >= picture[..., 3].max() - 1)
    assert abs(xs.mean() - (32 * 3 - 64)) < 3
    assert abs(ys.mean() - 32 * 4) < 3


def test_size_follows_the_picture_it_lies_over() -> None:
    packed = pack_map(hot_cell(4, 3), (0, 28, 256, 228))
    small, large = overlay(packed, 200, 256), overlay(packed, 800, 1024)
    assert large.shape == (1024, 800, 4)
    np.testing.assert_allclose(large[2::4, 2::4, 3], small[..., 3], atol=12)


def test_transparent_where_nothing_speaks_for_a_fracture() -> None:
    picture = overlay(pack_map(hot_cell(1, 1), SQUARE), 256, 256)
    assert (picture[128:, 128:, 3] == 0).all()
    assert overlay(pack_map(np.full((8, 8), -3.0, np.float32), SQUARE), 64, 64)[..., 3].max() == 0


def test_a_faint_map_is_drawn_paler_than_a_strong_one() -> None:
    faint = overlay(pack_map(hot_cell(4, 4, 1.5), SQUARE), 64, 64)[..., 3].max()
    strong = overlay(pack_map(hot_cell(4, 4, 15.0), SQUARE), 64, 64)[..., 3].max()
    assert 0 < faint < strong / 2


def test_colours_run_from_amber_to_magenta() -> None:
    values = np.tile(np.linspace(0, 20, 8, dtype=np.float32), (8, 1))
    row = overlay(pack_map(values, SQUARE), 256, 256)[128].astype(int)
    shown = row[row[:, 3] > 0]
    red, green, blue = shown[0, :3]
    assert red > 240 > green > 150 > blue
    red, green, blue = shown[-1, :3]
    assert green < 60 < blue
    assert (np.diff(shown[:, 1]) <= 0).all()


def test_the_web_process_shows_maps_without_numpy() -> None:
    script = (
        "import sys\n"
        "from screening.inference.maps import heatmap_png\n"
        f"heatmap_png({pack_map(hot_cell(4, 4), SQUARE)!r}, 64, 64)\n"
        "assert not {'numpy', 'torch', 'openvino'} & sys.modules.keys(), sorted(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
