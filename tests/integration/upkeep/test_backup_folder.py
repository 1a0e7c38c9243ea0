"""A folder of backups: whose they are, what may be removed of it, and damage on its disk that mends itself."""

import json
import shutil
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from screening.database.engine import Database
from screening.database.tables import Installation, Scan
from screening.errors import Conflict
from screening.storage.folder import FolderStorage
from screening.upkeep.backup.making import Backup, make_backup
from screening.upkeep.backup.manifest import fingerprint, generations, latest
from screening.upkeep.backup.pool import PARTS_READ_AGAIN, Pool, read_objects
from screening.upkeep.backup.restoring import check_backup, restore
from screening.upkeep.ownership import MARKER, set_installation_id
from tests.installation import phantom_png
from tests.integration.web.conftest import Portal

NOW = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)
OURS, THEIRS = fingerprint("ours"), fingerprint("theirs")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backups"


@pytest.fixture
def sent(portal: Portal) -> Portal:
    api = portal.api()
    api.receipts(api.open_run(), *((f"{seed}.png", phantom_png(seed)) for seed in range(3)))
    return portal


def backup(portal: Portal, folder: Path, day: int, keep: int | None = None, secret: str = OURS) -> Backup:
    return make_backup(portal.system.database, portal.system.storage, NOW + timedelta(days=day), folder, secret, keep)


def become(portal: Portal, installation: str) -> None:
    """Have database and storage be those of another installation."""
    with portal.system.database.write() as session:
        session.execute(delete(Installation))
        set_installation_id(session, installation)
    portal.system.storage.delete(MARKER)


def as_of_an_older_release(generation: Path) -> None:
    manifest = generation / "manifest.json"
    document = json.loads(manifest.read_text())
    del document["installation"]
    manifest.write_text(json.dumps(document))


def pooled(folder: Path) -> set[str]:
    return {path.name for path in (folder / "objects").glob("??/*")}


def test_another_installation_is_refused_and_removes_nothing(sent: Portal, folder: Path) -> None:
    become(sent, "a" * 32)
    made = [backup(sent, folder, day) for day in range(4)]
    before = pooled(folder)
    become(sent, "b" * 32)
    for day in range(4, 7):
        with pytest.raises(Conflict, match="backups of another installation"):
            backup(sent, folder, day, keep=3, secret=THEIRS)
    assert generations(folder) == [one.folder for one in made]
    assert pooled(folder) == before
    assert check_backup(folder).manifest.owner == "installation aaaaaaaa"


def test_only_own_backups_are_removed_and_never_the_one_just_made(sent: Portal, folder: Path) -> None:
    foreign = [folder / "2019-webapp", folder / "webapp"]
    for one in foreign:
        one.mkdir(parents=True)
        (one / "manifest.json").write_text('{"name": "webapp"}')
    misleading = folder / "20990101T000000Z"
    misleading.mkdir()
    (misleading / "manifest.json").write_text("[]")
    made = [backup(sent, folder, day, keep=1) for day in range(3)]
    assert [one.removed for one in made] == [0, 1, 1]
    assert all((one / "manifest.json").is_file() for one in (*foreign, misleading))
    assert made[-1].folder.is_dir()
    assert not made[0].folder.exists()
    shutil.rmtree(misleading)
    assert generations(folder) == [made[-1].folder]


def test_a_backup_that_was_given_another_name_keeps_its_objects(sent: Portal, folder: Path) -> None:
    first = backup(sent, folder, 0)
    kept = first.folder.rename(folder / "before the update")
    forget_originals(sent)
    for day in range(1, 4):
        backup(sent, folder, day, keep=1)
    assert check_backup(kept).damaged == ()


def forget_originals(portal: Portal) -> None:
    with portal.system.database.write() as session:
        session.execute(update(Scan).values(original_removed_at=NOW))
    for found in list(portal.system.storage.list("originals/")):
        portal.system.storage.delete(found.key)


def test_what_a_killed_backup_left_goes_and_keeps_nothing_from_being_removed(sent: Portal, folder: Path) -> None:
    cut = backup(sent, folder, 0).folder.rename(folder / f".part-{NOW:%Y%m%dT%H%M%SZ}")
    (cut / "manifest.json").unlink()
    objects = cut / "objects.jsonl.gz"
    objects.write_bytes(objects.read_bytes()[:-9])
    (folder / "objects" / ".part-4711").write_bytes(b"the beginning of an original")
    backup(sent, folder, 1, keep=1)
    assert list(folder.glob("**/.part-*")) == []
    before = pooled(folder)
    forget_originals(sent)
    last = backup(sent, folder, 2, keep=1)
    assert (last.removed, last.not_pruned) == (1, "")
    assert len(before - pooled(folder)) == 3


def test_what_cannot_be_removed_because_a_list_is_damaged_is_told(sent: Portal, folder: Path) -> None:
    damaged = backup(sent, folder, 0).folder.rename(folder / "before the update") / "objects.jsonl.gz"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-9])
    backup(sent, folder, 1)
    before = pooled(folder)
    forget_originals(sent)
    last = backup(sent, folder, 2, keep=1)
    assert last.removed == 1
    assert str(damaged) in last.not_pruned
    assert before <= pooled(folder)


def test_backups_of_before_there_were_ids_are_told_by_the_secret_key(sent: Portal, folder: Path) -> None:
    first = backup(sent, folder, 0)
    as_of_an_older_release(first.folder)
    become(sent, "b" * 32)
    with pytest.raises(Conflict, match="without an id"):
        backup(sent, folder, 1, keep=1, secret=THEIRS)
    assert first.folder.exists()
    without_key = fingerprint("")
    manifest = first.folder / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "secret": without_key}))
    with pytest.raises(Conflict, match="without an id"):
        backup(sent, folder, 1, keep=1, secret=without_key)
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "secret": OURS}))
    second = backup(sent, folder, 1)
    assert latest(folder) == second.folder, "the two are of one installation"
    assert backup(sent, folder, 2, keep=1).removed == 2


def test_the_latest_of_several_installations_has_to_be_named(sent: Portal, folder: Path, tmp_path: Path) -> None:
    ours = backup(sent, folder, 0)
    become(sent, "b" * 32)
    theirs = backup(sent, tmp_path / "other", 1, secret=THEIRS)
    theirs.folder.rename(folder / theirs.folder.name)
    with pytest.raises(Conflict, match=f"{ours.folder.name} is the latest of .* of installation bbbbbbbb"):
        latest(folder)
    assert latest(ours.folder) == ours.folder


def test_what_check_finds_damaged_is_copied_again_by_the_next_backup(sent: Portal, folder: Path) -> None:
    made = backup(sent, folder, 0)
    item = next(item for item in read_objects(made.folder) if item["key"].startswith("originals/"))
    path = folder / "objects" / item["sha256"][:2] / item["sha256"]
    whole = path.read_bytes()
    rotten = bytes([whole[0] ^ 1]) + whole[1:]
    path.write_bytes(rotten)
    assert check_backup(folder).damaged == (item["key"],)
    assert (folder / "damaged" / item["sha256"]).read_bytes() == rotten
    backup(sent, folder, 1)
    assert path.read_bytes() == whole
    assert check_backup(folder).damaged == ()
    assert check_backup(made.folder).damaged == (), "the older backup has it again, too"


def test_backups_find_damage_by_themselves_in_the_course_of_time(sent: Portal, folder: Path) -> None:
    made = backup(sent, folder, 0)
    for item in read_objects(made.folder):
        path = folder / "objects" / item["sha256"][:2] / item["sha256"]
        whole = path.read_bytes()
        path.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    count = made.manifest.objects.lines
    assert sum(backup(sent, folder, 1 + day).rotten for day in range(256 // PARTS_READ_AGAIN)) == count
    assert check_backup(folder).damaged == ()


def test_a_file_of_the_pool_that_cannot_be_read_holds_up_nothing(sent: Portal, folder: Path, tmp_path: Path) -> None:
    made = backup(sent, folder, 0)
    item = next(item for item in read_objects(made.folder) if item["key"].startswith("originals/"))
    path = folder / "objects" / item["sha256"][:2] / item["sha256"]

    def spoil() -> None:
        path.unlink()
        path.symlink_to("/proc/self/mem")  # Opens, and answers the first read with EIO, as a bad sector does.

    spoil()
    database, storage = Database(f"sqlite:///{tmp_path}/back.db"), FolderStorage(tmp_path / "back")
    assert restore(folder, database, storage, NOW, "tests").damaged == (item["key"],)
    database.dispose()
    assert list(storage.list("tmp/")) == []
    assert check_backup(folder).damaged == (item["key"],)
    assert (folder / "damaged" / item["sha256"]).is_symlink()
    backup(sent, folder, 1)
    assert check_backup(folder).damaged == ()
    spoil()
    pool = Pool(folder)
    assert sum(pool.read_some_again(str(day)) for day in range(256 // PARTS_READ_AGAIN)) == 1
    pool.close()
    assert not path.is_symlink()


def test_a_lost_original_is_not_taken_from_a_damaged_copy(sent: Portal, folder: Path) -> None:
    made = backup(sent, folder, 0)
    item = next(item for item in read_objects(made.folder) if item["key"].startswith("originals/"))
    path = folder / "objects" / item["sha256"][:2] / item["sha256"]
    path.write_bytes(b"x" * path.stat().st_size)
    sent.system.storage.delete(item["key"])
    second = backup(sent, folder, 1)
    assert second.missing == 1
    assert item["key"] not in {one["key"] for one in read_objects(second.folder)}


def test_backups_are_for_their_owner_alone_in_a_folder_that_others_may_read(sent: Portal, folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "objects").mkdir(mode=0o755)
    made = backup(sent, folder, 0)
    made.folder.chmod(0o755)  # as earlier releases left them
    backup(sent, folder, 1)
    open_to_others = [path for path in folder.iterdir() if stat.S_IMODE(path.stat().st_mode) & 0o077]
    assert open_to_others == []
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755, "a share's own rights are not ours to change"
