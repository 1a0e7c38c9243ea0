"""One random bundle for the whole folder; tests that alter a bundle make their own copy."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from screening.inference.bundle import Bundle, read_bundle
from tests.bundles import make_random_bundle, write_card


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_random_bundle(tmp_path_factory.mktemp("bundle"), side=64, seed=0, forms=("fp32", "int8"))


@pytest.fixture
def altered(bundle: Bundle, tmp_path: Path) -> Callable[[Callable[[Path], None]], Bundle]:
    """Copy the bundle, alter files in the copy, and read it with a card that lists the altered files."""

    def alter(change: Callable[[Path], None]) -> Bundle:
        folder = tmp_path / "altered"
        shutil.copytree(bundle.folder, folder)
        change(folder)
        write_card(folder, bundle.rendition, tuple(bundle.forms))
        return read_bundle(folder)

    return alter
