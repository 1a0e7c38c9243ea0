"""The portal of the web tests, with two checkpoints that have screened the same scans."""

import pytest

from screening import checkpoints
from screening.clock import utc_now
from tests.bundles import make_random_bundle
from tests.integration.comparison.pairs import AFTER, BEFORE, add_predictions
from tests.integration.web.conftest import Portal, portal

__all__ = ["portal"]


@pytest.fixture
def two(portal: Portal, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """(the active checkpoint, another): both flag from 0.5, and say likely from 0.75."""
    bundle = make_random_bundle(tmp_path_factory.mktemp("other") / "other", side=64, seed=5)
    system = portal.system
    other, _ = checkpoints.register(system.database, system.storage, utc_now(), bundle, "fp32", "tests")
    with system.database.read() as session:
        return checkpoints.active(session).id, other


@pytest.fixture
def compared(portal: Portal, two: tuple[str, str]) -> tuple[str, str]:
    for checkpoint, probabilities in zip(two, (BEFORE, AFTER), strict=True):
        add_predictions(portal.system.database, checkpoint, probabilities, received_at=utc_now(), modality="DX")
    return two
