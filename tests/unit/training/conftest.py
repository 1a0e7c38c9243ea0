"""Training tests need the training extra; without it they are skipped, and say so."""

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the training extra is not installed")
pytest.importorskip("torchvision", reason="the training extra is not installed")
pytest.importorskip("tqdm", reason="the training extra is not installed")

from training.data.manifest import Example, read_dataset
from training.data.phantoms import write_phantom_dataset


@pytest.fixture(scope="session")
def phantom_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 64 phantoms in 32 groups, with gaps wide enough to be learned in seconds."""
    folder = tmp_path_factory.mktemp("phantoms") / "data"
    write_phantom_dataset(folder, groups=32, gap_width=0.15)
    return folder


@pytest.fixture(scope="session")
def phantoms(phantom_data: Path) -> list[Example]:
    return read_dataset(phantom_data)
