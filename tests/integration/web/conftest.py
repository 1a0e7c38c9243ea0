"""The portal on a real database of each kind, with people of every role; no server and no workers."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from screening import checkpoints
from screening.accounts import Identity, Role, add_user, issue_token
from screening.clock import utc_now
from screening.inference.bundle import Bundle
from screening.settings import Settings
from screening.system import System, open_system
from tests.installation import SECRET_KEY
from tests.integration.web.client import Api
from web import create_app


@dataclass
class Portal:
    """An application with one user of every role and a token for each."""

    system: System
    app: Flask
    people: dict[str, Identity]
    tokens: dict[str, str]

    def api(self, role: Role = "operator") -> Api:
        return Api(self.app.test_client(), {"Authorization": f"Bearer {self.tokens[role]}"})

    def browser(self) -> FlaskClient:
        return self.app.test_client()


@pytest.fixture
def portal(tmp_path: Path, database_url: str, redis_url: str, random_bundle: Bundle) -> Iterator[Portal]:
    settings = Settings(
        data_dir=tmp_path / "data",
        database_url=database_url,
        redis_url=redis_url,
        secret_key=SECRET_KEY,  # type: ignore[arg-type]
        max_file_mb=1,
        max_request_mb=8,
    )
    settings.data_dir.mkdir()
    system = open_system(settings)
    checkpoints.register(system.database, system.storage, utc_now(), random_bundle, "fp32", "tests")
    people, tokens = {}, {}
    roles: tuple[Role, ...] = ("reader", "operator", "administrator")
    with system.database.write() as session:
        for role in roles:
            people[role] = add_user(session, utc_now(), f"{role}-1", role, None, "tests")
            tokens[role] = issue_token(session, utc_now(), people[role], "tests", "tests")
    app = create_app(system)
    app.testing = True
    yield Portal(system, app, people, tokens)
    system.close()
