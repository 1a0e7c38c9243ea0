"""The data folder: private, used by one at a time, with secrets that stay."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from screening.supervisor.errors import UpError
from screening.supervisor.folder import DataFolder, write_private
from screening.supervisor.logs import KEPT, LARGEST_LOG, LogFile


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_folder_and_its_secrets_are_their_owners_alone(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "new" / "data")
    folder.create()
    secret = folder.secret_key()
    folder.keep_environment({"SCREENING_SECRET_KEY": secret})
    assert mode(folder.path) == mode(folder.run) == mode(folder.logs) == 0o700
    assert mode(folder.secret_key_file) == mode(folder.environment_file) == 0o600
    assert len(secret) >= 32


def test_a_folder_that_is_there_and_open_is_closed(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    folder.path.mkdir()
    (folder.path / "secret.key").write_text("x" * 40)
    folder.path.chmod(0o755)
    folder.create()
    assert mode(folder.path) == 0o700
    folder.keep_environment({})
    (folder.path / "anything").touch()
    folder.path.chmod(0o2775)
    folder.create()
    assert folder.path.stat().st_mode & 0o7777 == 0o2700


def test_an_open_folder_with_other_things_in_it_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "thesis.odt").touch()
    tmp_path.chmod(0o755)
    with pytest.raises(UpError, match=r"mode 0755.*holds other things.*chmod 700"):
        DataFolder(tmp_path).create()
    assert mode(tmp_path) == 0o755
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.odt"]


def test_what_a_command_writes_is_its_owners_alone(tmp_path: Path) -> None:
    """Also where it makes the data folder by itself, as no `screening up` did."""
    url = f"sqlite:///{tmp_path / 'new' / 'screening.db'}"
    command = [str(Path(sys.executable).parent / "screening"), "migrate"]
    environment = {**os.environ, "SCREENING_DATABASE_URL": url, "SCREENING_DATA_DIR": str(tmp_path / "new")}
    old = os.umask(0o022)
    try:
        subprocess.run(command, env=environment, check=True, capture_output=True)
    finally:
        os.umask(old)
    assert mode(tmp_path / "new") == 0o700
    assert mode(tmp_path / "new" / "screening.db") == 0o600


@pytest.mark.parametrize("module", ["worker.app", "web.gunicorn_conf"])
def test_processes_of_their_own_write_for_their_owner_alone(module: str, tmp_path: Path) -> None:
    program = f"import os, {module} as m; print(oct(getattr(m, 'umask', None) or os.umask(0)))"
    environment = {
        **os.environ,
        "SCREENING_REDIS_URL": "redis://127.0.0.1:1/0",
        "SCREENING_SECRET_KEY": "x" * 40,
        "SCREENING_DATA_DIR": str(tmp_path),
    }
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.strip().splitlines()[-1] == "0o77"


def test_the_secret_is_made_once(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    folder.create()
    assert folder.secret_key() == DataFolder(tmp_path / "data").secret_key()


@pytest.mark.parametrize("secret", ["", "short"])
def test_a_secret_that_can_be_guessed_is_refused(tmp_path: Path, secret: str) -> None:
    folder = DataFolder(tmp_path / "data")
    folder.create()
    folder.secret_key_file.write_text(f"{secret}\n")
    with pytest.raises(UpError, match=r"secret\.key"):
        folder.secret_key()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UpError, match="Name another one with --data"):
        DataFolder(tmp_path / "file" / "data").create()


def test_one_at_a_time(tmp_path: Path) -> None:
    first, second = DataFolder(tmp_path), DataFolder(tmp_path)
    first.create()
    with first.lock(), pytest.raises(UpError, match=f"process {os.getpid()}"), second.lock():
        pass
    with second.lock():
        pass


def test_what_was_noted_is_read_and_rubbish_is_not(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    folder.create()
    assert folder.kept_environment() == {}
    folder.keep_environment({"SCREENING_PORT": "9000"})
    assert folder.kept_environment() == {"SCREENING_PORT": "9000"}
    folder.environment_file.write_text("{")
    assert folder.kept_environment() == {}


def test_a_private_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert (path.read_text(), mode(path), list(tmp_path.iterdir())) == ("new", 0o600, [path])


def test_logs_stay_small_while_they_are_written_to(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "web.log")
    log.rotate()
    with log.path.open("ab", buffering=0) as process:
        for number in range(KEPT + 2):
            process.write(b"x" * LARGEST_LOG + b"\nround %d\n" % number)
            log.rotate()
        process.write(b"after\n")
    assert log.path.read_bytes() == b"after\n"
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == ["web.log", "web.log.1", "web.log.2", "web.log.3"]
    assert LogFile(tmp_path / "web.log.1").last_lines(1) == [f"round {KEPT + 1}"]


def test_the_last_lines_of_a_log(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "web.log")
    assert log.last_lines() == []
    log.path.write_bytes(b"".join(b"line %d\n" % number for number in range(10_000)) + b"\xff no unicode")
    assert log.last_lines(2) == ["line 9999", "\N{REPLACEMENT CHARACTER} no unicode"]
