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


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_url(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    import boto3

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    bucket = f"bucket-{tmp_path.name.replace('_', '-').lower()[:40].strip('-')}"
    boto3.client("s3", endpoint_url=s3_endpoint, region_name="us-east-1").create_bucket(Bucket=bucket)
    return f"s3://{bucket}/some/prefix?endpoint={s3_endpoint}&region=us-east-1"
