"""Pictures that end their workers are found and set aside as must look; their neighbours are screened."""

from pathlib import Path

import pytest
from sqlalchemy import select

from screening.database.tables import Job
from screening.inference.bundle import Bundle
from screening.worklist import Filters, worklist_page
from tests.bundles import make_random_bundle
from tests.chaos.poison import black_and_white_png, marked_png
from tests.installation import Installation, installation, phantom_png, wait_until

MOST_ATTEMPTS = 4
NEIGHBOURS = 20
POISON = {"halves.png", "marked.png"}


def keep_alive(made: Installation) -> None:
    """Start again what has ended, as a supervisor does."""
    for kind, process in list(made.processes.items()):
        if process.poll() is not None:
            made.start(kind)


@pytest.mark.timeout(600)
def test_what_ends_its_worker_is_set_aside_and_its_neighbours_are_screened(
    tmp_path: Path, sqlite_url: str, redis_url: str
) -> None:
    bundle: Bundle = make_random_bundle(tmp_path / "bundle", side=64)
    changes = {"max_attempts": MOST_ATTEMPTS, "lease_s": 3.0, "slice_s": 2.0, "prepare_children": 1}
    with installation(tmp_path / "data", sqlite_url, redis_url, bundle, **changes) as made:
        made.app = "tests.chaos.poisoned_app"
        run = made.open_run()
        pictures = {f"{seed}.png": phantom_png(seed, (120, 100)) for seed in range(NEIGHBOURS)}
        for name, data in {**pictures, "halves.png": black_and_white_png(), "marked.png": marked_png()}.items():
            made.upload(run, name, data)
        made.submit(run)
        made.start_all()

        def complete() -> bool:
            keep_alive(made)
            return made.state(run) == "complete"

        wait_until(complete, 500, "the run is complete")
        with made.system.database.read() as session:
            jobs = {job.file_name: job for job in session.scalars(select(Job).where(Job.run_id == run))}
            first = worklist_page(session, Filters(run=run, band="must_look")).items
    assert {item.file_name for item in first} == POISON, "a person is asked to look at them"
    assert {name for name, job in jobs.items() if job.state != "screened"} == POISON
    assert len(jobs) == NEIGHBOURS + len(POISON)
    for name in POISON:
        assert jobs[name].problem_code == "set_aside"
        assert f"{MOST_ATTEMPTS} times" in str(jobs[name].problem)
