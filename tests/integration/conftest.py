"""Fixtures of the tests that run real processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from screening.inference.bundle import Bundle
from tests.bundles import make_random_bundle
from tests.installation import Installation, installation


@pytest.fixture(scope="session")
def random_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A complete checkpoint bundle with random weights: it screens, it knows nothing."""
    return make_random_bundle(tmp_path_factory.mktemp("bundle") / "random", side=64)


@pytest.fixture
def installed(tmp_path: Path, database_url: str, redis_url: str, random_bundle: Bundle) -> Iterator[Installation]:
    """An installation on each kind of database in turn; the test starts the processes that it needs."""
    with installation(tmp_path / "data", database_url, redis_url, random_bundle) as made:
        yield made
