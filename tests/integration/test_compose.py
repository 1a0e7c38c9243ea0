"""docker-compose.yml without Docker: what it says is checked, and its commands are run as plain processes."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import text

from screening.clock import utc_now
from screening.database.engine import Database
from screening.inference.bundle import Bundle
from screening.settings import Settings, environment_name
from screening.supervisor.readiness import why_not_ready
from screening.workers import alive
from tests.conftest import ROOT, free_port
from tests.installation import phantom_png, wait_until
from tests.integration.commands import screening

OURS = ("migrate", "web", "prepare", "screen", "screen-gpu", "upkeep", "beat")
RUNNING = ("web", "prepare", "screen", "upkeep", "beat")
SECRETS = ("SCREENING_SECRET_KEY", "POSTGRES_PASSWORD", "REDIS_PASSWORD")
GIVEN = {name: f"given-{name.lower().replace('_', '-')}-0123456789" for name in SECRETS}
DECIDED = {"data_dir", "checkpoint_dir", "database_url", "redis_url", "host", "port", "secret_key", "engine"}
"""Settings that the compose file or the image decides. All others are taken from `.env`."""
AWS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION"}
_VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?P<rest>:[-?][^}]*)?\})")


class MissingVariable(Exception):
    pass


def substitute(value: Any, environment: dict[str, str]) -> Any:
    """Fill in `${NAME:-default}`, `${NAME:?message}` and `$$` as Compose does."""

    def fill(match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        name, rest = match["name"], match["rest"] or ""
        if environment.get(name):
            return environment[name]
        if rest.startswith(":-"):
            return rest[2:]
        raise MissingVariable(name)

    if isinstance(value, str):
        return _VARIABLE.sub(fill, value)
    if isinstance(value, list):
        return [substitute(item, environment) for item in value]
    if isinstance(value, dict):
        return {key: substitute(item, environment) for key, item in value.items()}
    return value


def passed_on(environment: dict[str, Any], given: dict[str, str]) -> dict[str, str]:
    """What a container gets: a name without a value has that of `.env` or the shell, or is left out, as in Compose."""
    taken = {name: given.get(name) if value is None else value for name, value in environment.items()}
    return {name: str(value) for name, value in taken.items() if value is not None}


@pytest.fixture(scope="module")
def written() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return document


@pytest.fixture(scope="module")
def services(written: dict[str, Any]) -> dict[str, Any]:
    filled: dict[str, Any] = substitute(written["services"], GIVEN)
    return filled


def test_every_process_has_a_service(services: dict[str, Any]) -> None:
    assert set(services) == {*OURS, "redis", "postgres"}
    assert services["screen-gpu"]["profiles"] == ["gpu"]
    assert not any("profiles" in service for name, service in services.items() if name != "screen-gpu")


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_has_a_default(written: dict[str, Any], secret: str) -> None:
    given = {name: value for name, value in GIVEN.items() if name != secret}
    with pytest.raises(MissingVariable, match=secret):
        substitute(written["services"], given)


def test_processes_wait_for_the_migrations_and_show_signs_of_life(services: dict[str, Any]) -> None:
    for name in OURS[1:]:
        service = services[name]
        assert service["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
        kind = "screen" if name == "screen-gpu" else name
        assert service["healthcheck"]["test"] == ["CMD", "screening", "health", "--kind", kind]
        assert service["stop_grace_period"] == "30s"
        assert "data:/data" in service["volumes"]
    assert services["migrate"]["restart"] == "no"


@pytest.mark.parametrize("name", OURS)
def test_every_setting_that_is_not_decided_here_is_taken_from_env(written: dict[str, Any], name: str) -> None:
    assert set(Settings.model_fields) >= DECIDED
    taken = {environment_name(setting) for setting in set(Settings.model_fields) - DECIDED} | AWS
    if name == "screen-gpu":
        taken.remove("SCREENING_BATCH_SIZE")
    assert {key for key, value in written["services"][name]["environment"].items() if value is None} == taken


def test_what_stands_in_env_reaches_a_process_and_nothing_else_does(services: dict[str, Any]) -> None:
    environment = services["upkeep"]["environment"]
    reached = passed_on(environment, {"SCREENING_KEEP_ORIGINALS_DAYS": "30", "SCREENING_PORT": "9000"})
    assert reached["SCREENING_KEEP_ORIGINALS_DAYS"] == "30"
    assert not {"SCREENING_PORT", "SCREENING_QUOTA_MB", "AWS_SESSION_TOKEN"} & set(reached)


def test_temporary_files_are_not_kept_in_memory(services: dict[str, Any]) -> None:
    for name in OURS:
        assert "/tmp" in services[name]["tmpfs"], "what ignores TMPDIR needs a place, too"
        assert services[name]["environment"]["TMPDIR"].startswith("/data/")


def test_only_this_host_reaches_the_portal_and_nobody_the_stores(services: dict[str, Any]) -> None:
    assert services["web"]["ports"] == ["127.0.0.1:8000:8000"]
    assert not any("ports" in service for name, service in services.items() if name != "web")


def test_the_image_has_what_compose_names() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert re.findall(r"^FROM base AS (\w+)$", dockerfile, re.MULTILINE) == ["gpu", "cpu"]
    assert re.search(r"^USER (?!root)\w+$", dockerfile, re.MULTILINE)
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE)
    for path in " ".join(copied).split():
        assert (ROOT / path).exists(), path
        let_in = f"!{path.partition('/')[0]}"
        assert let_in in (ROOT / ".dockerignore").read_text().splitlines()


class Stack:
    """The services as processes on this machine, with other addresses for what Docker would name."""

    def __init__(
        self, services: dict[str, Any], folder: Path, database_url: str, redis_url: str, checkpoint_dir: Path
    ) -> None:
        self.services = services
        self.folder = folder
        self.port = free_port()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._here = {
            "SCREENING_DATABASE_URL": database_url,
            "SCREENING_REDIS_URL": redis_url,
            "SCREENING_PORT": str(self.port),
            # What the Dockerfile sets, at places of this machine.
            "SCREENING_DATA_DIR": str(folder),
            "SCREENING_CHECKPOINT_DIR": str(checkpoint_dir),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }

    def environment(self, name: str) -> dict[str, str]:
        said = passed_on(self.services[name]["environment"], {})
        said["TMPDIR"] = said["TMPDIR"].replace("/data", str(self.folder), 1)
        return {**os.environ, **said, **self._here}

    def start(self, name: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                self.services[name]["command"],
                cwd=self.folder,
                env=self.environment(name),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes[name] = process
        return process

    def health(self, name: str) -> int:
        test = self.services[name]["healthcheck"]["test"]
        return subprocess.run(test[1:], env=self.environment(name), capture_output=True, check=False).returncode

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")[-3000:]

    def kill(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.fixture
def stack(
    services: dict[str, Any], tmp_path: Path, postgres_empty_url: str, redis_url: str, random_bundle: Bundle
) -> Iterator[Stack]:
    made = Stack(services, tmp_path / "volume", postgres_empty_url, redis_url, random_bundle.folder.parent)
    made.folder.mkdir()
    yield made
    made.kill()


@pytest.fixture
def postgres_empty_url(postgres_url: str) -> str:
    """A PostgreSQL database without any tables, as the first start finds it."""
    database = Database(postgres_url)
    with database.write() as session:
        session.execute(text("DROP SCHEMA public CASCADE"))
        session.execute(text("CREATE SCHEMA public"))
    database.dispose()
    return postgres_url


def test_the_services_screen_a_run(stack: Stack, tmp_path: Path) -> None:
    temporary = stack.folder / "tmp"
    assert stack.start("migrate").wait(120) == 0, stack.log("migrate")
    (temporary / "container-of-last-week").mkdir()
    for left, days in (("incoming-of-last-week", 7), ("container-of-last-week/container", 7), ("incoming", 0)):
        (temporary / left).write_bytes(b"left")
        os.utime(temporary / left, (time.time() - days * 86400,) * 2)
    os.utime(temporary / "container-of-last-week", (time.time() - 7 * 86400,) * 2)
    assert stack.start("migrate").wait(120) == 0, "a second time, as at every start"
    assert [left.name for left in temporary.iterdir() if left.is_file()] == ["incoming"], stack.log("migrate")
    for name in RUNNING:
        stack.start(name)
    wait_until(lambda: why_not_ready("127.0.0.1", stack.port) is None, 90, "the portal is ready")

    server = stack.environment("web")
    added = screening("user", "add", "anna", "--role", "operator", "--no-password", environment=server)
    assert added.code == 0, added
    token = screening("token", "add", "tests", "--user", "anna", environment=server).out.strip()

    (tmp_path / "scans").mkdir()
    for seed in range(10):
        (tmp_path / "scans" / f"{seed}.png").write_bytes(phantom_png(seed))
    client = {"SCREENING_SERVER": f"http://127.0.0.1:{stack.port}", "SCREENING_TOKEN": token}
    sent = screening("upload", tmp_path / "scans", "--wait", "--json", environment=client)
    logs = "\n".join(f"--- {name}\n{stack.log(name)}" for name in RUNNING)
    assert sent.code == 0, f"{sent}\n{logs}"
    assert sent.json()["run"]["counts"]["screened"] == 10

    database = Database(server["SCREENING_DATABASE_URL"])
    try:
        wait_until(lambda: _kinds(database) == {"prepare", "screen", "upkeep", "beat"}, 30, "every heart beats")
    finally:
        database.dispose()
    assert {name: stack.health(name) for name in RUNNING} == dict.fromkeys(RUNNING, 0)

    for name in RUNNING:
        stack.processes[name].send_signal(signal.SIGTERM)
    codes = {name: stack.processes[name].wait(30) for name in RUNNING}
    assert codes == dict.fromkeys(RUNNING, 0), logs
    assert {name: stack.health(name) for name in RUNNING} == dict.fromkeys(RUNNING, 1)


def _kinds(database: Database) -> set[str]:
    with database.read() as session:
        return {worker.kind for worker in alive(session, utc_now())}
