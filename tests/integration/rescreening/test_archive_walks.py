"""What a visit meets on its way: names of every encoding, folders that cannot be read, mounts that are empty."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from screening.archives.registry import archive_url
from screening.archives.walking import walk
from screening.database.tables import Job, Receipt
from screening.inference.bundle import Bundle
from screening.storage import original_key
from tests.installation import Installation, installation, phantom_png
from tests.integration.rescreening.visits import add, put, visit_now
from tests.integration.workers_within import prepare_all

LATIN_1 = {b"M\xfcller": 1, b"M\xf6ller": 2, rb"M\xfcller": 3}
"""Names of folders, of which two are no UTF-8 and one looks as if it was what stands for the first."""


@pytest.fixture
def made(tmp_path: Path, database_url: str, redis_url: str, random_bundle: Bundle) -> Iterator[Installation]:
    with installation(tmp_path / "data", database_url, redis_url, random_bundle) as opened:
        yield opened


def added(made: Installation, ward: Path, *, in_place: bool = False) -> int:
    return add(made, archive_url(str(ward), made.system.settings.resolved_storage_url), in_place)


@pytest.mark.parametrize("in_place", [False, True])
def test_names_that_are_no_utf_8_are_read_and_told_apart(made: Installation, tmp_path: Path, in_place: bool) -> None:
    ward = Path(os.fsdecode(os.fsencode(tmp_path) + b"/Stra\xdfe"))
    for name, seed in LATIN_1.items():
        put(ward / os.fsdecode(name) / os.fsdecode(b"K\xfc.png"), phantom_png(seed))
    archive = added(made, ward, in_place=in_place)
    seen = visit_now(made, archive)
    assert (seen.found, seen.admitted, seen.refused, seen.problem) == (3, 3, 0, None)
    prepare_all(made)
    with made.system.database.read() as session:
        names = dict(session.execute(select(Job.file_name, Job.state)).all())
        digests = session.scalars(select(Receipt.sha256)).all()
    assert names == dict.fromkeys((r"M\xfcller/K\xfc.png", r"M\xf6ller/K\xfc.png", r"M\x5cxfcller/K\xfc.png"), "queued")
    originals = {made.system.storage.get(original_key(digest)) for digest in digests if digest}
    assert originals == {phantom_png(seed) for seed in LATIN_1.values()}
    again = visit_now(made, archive)
    assert (again.found, again.admitted, again.refused) == (3, 0, 0)


def test_a_name_with_a_backslash_stays_as_it_is(tmp_path: Path) -> None:
    put(tmp_path / "a\\b" / "c.png", b"c")
    assert [found.path for found in walk(f"file://{tmp_path}")] == ["a\\b/c.png"]
