"""The short form of `make chaos`: fixed seeds, and of each kind of fault one."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from screening.inference.bundle import Bundle
from tests.bundles import make_random_bundle
from tests.chaos.faults import FAULTS, possible_faults
from tests.chaos.stand import standing
from tests.chaos.trial import try_out

ON_POSTGRES = (
    "screen worker killed",
    "connections ended by PostgreSQL",
    "Redis emptied (FLUSHALL)",
    "PostgreSQL crashed, recovered",
    "worker frozen past its lease, woken",
    "everything killed at once, started again",
)
ON_SQLITE = (
    "decoding children killed",
    "portal killed in the middle of an upload",
    "Redis out of memory for 3 to 6 s",
    "disk of the storage full for 2 to 4 s",
    "clocks an hour ahead for 2 to 4 s",
    "all workers killed at once",
)


@pytest.fixture(scope="module")
def bundle() -> Iterator[Bundle]:
    with tempfile.TemporaryDirectory(prefix="bundle-") as folder:
        yield make_random_bundle(Path(folder) / "checkpoints" / "random", side=64)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("postgres", "names", "seed"), [(True, ON_POSTGRES, 11), (False, ON_SQLITE, 12)], ids=["postgresql", "sqlite"]
)
def test_nothing_is_lost_or_doubled_and_work_goes_on(
    bundle: Bundle, postgres: bool, names: tuple[str, ...], seed: int
) -> None:
    assert set(names) <= {fault.name for fault in FAULTS}
    with standing(bundle, postgres) as stand:
        faults = [fault for fault in possible_faults(stand) if fault.name in names]
        outcome = try_out(stand, seed, faults, backlog=60)
        assert outcome.wrong == [], "\n".join(outcome.wrong)
        assert outcome.killed > 0
        assert outcome.jobs > 0
        assert outcome.set_aside == 0
