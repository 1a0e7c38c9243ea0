"""Settings are checked before anything starts, and every refusal says what to do."""

from pathlib import Path

import pytest

from screening.archives.registry import archive_url
from screening.database.engine import Database
from screening.errors import Refused
from screening.settings import Settings, SettingsError, is_loopback, load_settings
from screening.storage import open_storage
from screening.system import open_system


def refused(monkeypatch: pytest.MonkeyPatch, **values: str) -> str:
    for name, value in values.items():
        monkeypatch.setenv(f"SCREENING_{name.upper()}", value)
    with pytest.raises(SettingsError) as error:
        load_settings()
    return str(error.value)


def test_defaults_are_the_embedded_system(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCREENING_DATA_DIR", str(tmp_path))
    settings = load_settings()
    assert settings.resolved_database_url == f"sqlite:///{tmp_path}/screening.db"
    assert settings.resolved_storage_url == f"file://{tmp_path}/objects"
    assert settings.host == "127.0.0.1"


def test_a_variable_without_a_value_leaves_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PORT", "HTTPS", "DATABASE_URL", "DATA_DIR"):
        monkeypatch.setenv(f"SCREENING_{name}", "")
    settings = load_settings()
    assert (settings.port, settings.https, settings.database_url, str(settings.data_dir)) == (8000, False, "", "data")


@pytest.mark.parametrize(
    ("name", "value"), [("port", "99999"), ("batch_size", "-1"), ("engine", "tensorrt"), ("lease_s", "minus one")]
)
def test_a_wrong_value_names_its_variable(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    assert f"SCREENING_{name.upper()}:" in refused(monkeypatch, **{name: value})


def test_a_public_address_needs_a_secret_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "SCREENING_SECRET_KEY" in refused(monkeypatch, host="0.0.0.0")
    monkeypatch.setenv("SCREENING_SECRET_KEY", "x" * 40)
    assert load_settings().host == "0.0.0.0"


def test_pairs_that_cannot_work_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "SCREENING_SLICE_S" in refused(monkeypatch, slice_s="50", lease_s="20")
    assert "SCREENING_QUOTA_MB" in refused(monkeypatch, slice_s="5", quota_mb="10", max_file_mb="20")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("storage_url", f"file:{rest}") for rest in ("//data/objects", "//objects", "objects", "///a?b", "///a#b")),
        *(("database_url", url) for url in ("sqlite:///x.db", "sqlite://", "sqlite+pysqlite:///:memory:")),
        ("data_dir", "/srv/x?1"),
        ("data_dir", "/srv/x%41"),
    ],
)
def test_an_address_that_leads_elsewhere_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    assert f"SCREENING_{name.upper()}={value} " in refused(monkeypatch, **{name: value})


@pytest.mark.parametrize("folder", ["x#1", "100%", "of ward 7 ä"])
def test_a_data_folder_of_any_name_holds_its_own_storage(folder: str, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / folder)
    # As the processes of `screening up` are given it.
    given = Settings(storage_url=settings.resolved_storage_url, database_url=settings.resolved_database_url)
    open_storage(given.resolved_storage_url).put("originals/a", b"a")
    database = Database(given.resolved_database_url)
    database.ping()
    database.dispose()
    assert [path.name for path in tmp_path.iterdir()] == [folder]
    assert (tmp_path / folder / "objects" / "originals" / "a").is_file()
    assert (tmp_path / folder / "screening.db").is_file()
    with pytest.raises(Refused, match="own storage"):
        archive_url(str(tmp_path / folder), given.resolved_storage_url)


@pytest.mark.parametrize(
    ("host", "expected"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("host", False)]
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_secret_that_can_be_guessed_is_refused(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    for key in ("x", "x" * 31):
        message = refused(monkeypatch, host=host, secret_key=key)
        assert f"SCREENING_SECRET_KEY has {len(key)} characters" in message
        assert "32 or more random characters" in message
        assert key * 2 not in message
    monkeypatch.setenv("SCREENING_SECRET_KEY", "x" * 32)
    assert load_settings().host == host


def test_a_secret_is_not_shown() -> None:
    assert "hunter2" not in repr(Settings(secret_key="hunter2" * 5))  # type: ignore[arg-type]


def test_what_a_process_needs_is_asked_for_by_name() -> None:
    with pytest.raises(SettingsError, match="SCREENING_REDIS_URL"):
        open_system(Settings())
    with pytest.raises(SettingsError, match="SCREENING_SECRET_KEY"):
        open_system(Settings(redis_url="redis://127.0.0.1:1/0"))


def test_pseudonyms_are_keyed_and_stable() -> None:
    one = open_system(Settings(redis_url="redis://127.0.0.1:1/0", secret_key="a" * 32))  # type: ignore[arg-type]
    other = open_system(Settings(redis_url="redis://127.0.0.1:1/0", secret_key="b" * 32))  # type: ignore[arg-type]
    assert one.pseudonym("1.2.3") == one.pseudonym("1.2.3")
    assert one.pseudonym("1.2.3") != other.pseudonym("1.2.3")
    assert "1.2.3" not in one.pseudonym("1.2.3")
