"""The batch size of a device: as fast as larger ones, within its memory and the time that an urgent scan may wait."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from screening.inference.batch_size import LARGEST, LONGEST_BATCH_S, batch_size_of, measure_batch_size
from screening.inference.engine import EngineError, OutOfDeviceMemory, Precision, Predictions


class Device:
    """An engine on a clock of its own: a fixed time to start a batch, and renditions computed so many at a time."""

    name, device, side = "test", "a device", 8
    precision: Precision = "half"

    def __init__(self, start_s: float, at_once: int, step_s: float, room: int = LARGEST) -> None:
        self.start_s, self.at_once, self.step_s, self.room = start_s, at_once, step_s, room
        self.now = 0.0
        self.largest = 0

    def predict(self, batch: NDArray[np.uint8]) -> Predictions:
        if len(batch) > self.room:
            raise OutOfDeviceMemory(f"{len(batch)} renditions are too many")
        self.largest = max(self.largest, len(batch))
        self.now += self.start_s + self.step_s * -(-len(batch) // self.at_once)
        return Predictions(np.zeros(len(batch), np.float32), np.zeros((len(batch), 1, 1), np.float32))

    def clock(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("device", "size"),
    [
        (Device(start_s=0.0, at_once=1, step_s=0.01), 8),
        (Device(start_s=0.001, at_once=64, step_s=0.005), 512),
        (Device(start_s=0.0, at_once=256, step_s=0.005), 256),
        (Device(start_s=0.001, at_once=64, step_s=0.005, room=200), 128),
        (Device(start_s=0.02, at_once=1, step_s=0.01), 32),
    ],
    ids=["no gain", "starting costs", "computes 256 at once", "memory for 200", "time for 32"],
)
def test_the_smallest_size_that_is_about_as_fast_as_any(device: Device, size: int) -> None:
    assert measure_batch_size(device, device.clock) == size


def test_no_batch_is_tried_that_takes_too_long() -> None:
    device = Device(start_s=0.02, at_once=1, step_s=0.01)
    measure_batch_size(device, device.clock)
    assert device.largest * device.step_s + device.start_s <= LONGEST_BATCH_S


def test_a_device_without_room_is_no_engine() -> None:
    device = Device(start_s=0.0, at_once=1, step_s=0.01, room=4)
    with pytest.raises(EngineError, match="stop what else uses this device"):
        measure_batch_size(device, device.clock)


def test_what_was_measured_is_kept_for_the_device(tmp_path: Path) -> None:
    kept = tmp_path / "sizes.json"
    device = Device(start_s=0.0, at_once=1, step_s=0.01)
    first = batch_size_of(device, kept)
    device.largest = 0
    assert batch_size_of(device, kept) == first
    assert device.largest == 0, "it is measured once"
    device.side = 16
    batch_size_of(device, kept)
    assert device.largest > 0, "another input is measured anew"
    assert len(json.loads(kept.read_text("utf-8"))) == 2


KEY = "test, a device, half, 8 px"


@pytest.mark.parametrize("text", ["", "[]", json.dumps({KEY: "many"}), json.dumps({KEY: 0})])
def test_a_file_that_holds_no_sizes_is_written_anew(tmp_path: Path, text: str) -> None:
    kept = tmp_path / "sizes.json"
    kept.write_text(text, "utf-8")
    size = batch_size_of(Device(start_s=0.0, at_once=1, step_s=0.01), kept)
    assert json.loads(kept.read_text("utf-8")) == {KEY: size}


def test_without_a_place_to_keep_it_the_size_is_measured_each_time(tmp_path: Path) -> None:
    device = Device(start_s=0.0, at_once=1, step_s=0.01)
    assert batch_size_of(device, tmp_path / "not there" / "sizes.json") >= 8
