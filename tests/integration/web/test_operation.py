"""Health, readiness, measures, the API document, and what the web process may not load."""

import json
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

import web.metrics
from screening.settings import Settings
from screening.system import System, open_system
from screening.workers import beat
from tests.conftest import ROOT, free_port
from tests.installation import SECRET_KEY, phantom_png
from tests.integration.web.conftest import Portal
from tests.integration.web.screened import screen_everything
from web import create_app

LARGEST_MIB = 150

MEASURE = """
import json, sys
from screening.settings import Settings
from screening.system import open_system
from web import create_app
app = create_app(open_system(Settings()))
token = {"Authorization": "Bearer " + sys.argv[1]}
client = app.test_client()
for path in json.loads(sys.argv[2]):
    answer = client.get(path, headers=token)
    assert answer.status_code == 200, (path, answer.text)
status = open("/proc/self/status").read()
resident = int(status.split("VmRSS:")[1].split()[0]) // 1024
print(json.dumps({"resident": resident, "modules": sorted(sys.modules)}))
"""


def test_the_web_process_stays_small(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    api = portal.api()
    run = api.open_run()
    [receipt] = api.receipts(run, ("a.png", phantom_png(1)))
    screen_everything(portal.system, {})
    scan = receipt["sha256"][:32]
    paths = ["/", "/runs", f"/runs/{run}", "/worklist", f"/scans/{scan}", "/model", "/system", "/account", "/metrics"]
    paths += ["/readyz", "/api/v1/openapi.json", f"/api/v1/scans/{scan}", f"/api/v1/scans/{scan}/heatmap.png"]
    settings = portal.system.settings
    for name in ("data_dir", "database_url", "redis_url"):
        monkeypatch.setenv(f"SCREENING_{name}".upper(), str(getattr(settings, name)))
    monkeypatch.setenv("SCREENING_SECRET_KEY", SECRET_KEY)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, portal.tokens["administrator"], json.dumps(paths)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    loaded = set(found["modules"])
    heavy = loaded & {"numpy", "torch", "torchvision", "openvino", "pydicom", "boto3", "safetensors", "scipy"}
    assert heavy == set()
    assert found["resident"] < LARGEST_MIB


def test_health_and_readiness_need_no_sign_in_and_tell_nothing(portal: Portal) -> None:
    client = portal.browser()
    assert client.get("/healthz").get_json() == {"status": "alive"}
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert ready.get_json()["checks"] == {"database": "ok", "schema": "ok", "storage": "ok", "redis": "ok"}


def other(settings: Settings, **changes: object) -> System:
    return open_system(settings.model_copy(update=changes))


def test_redis_down_is_reported_and_uploads_go_on(portal: Portal) -> None:
    system = other(portal.system.settings, redis_url=f"redis://127.0.0.1:{free_port()}/0")
    portal.app = create_app(system)
    ready = portal.browser().get("/readyz")
    assert (ready.status_code, ready.get_json()["checks"]["redis"]) == (200, "down")
    api = portal.api()
    run = api.open_run()
    assert api.receipts(run, ("a.png", phantom_png(1)))[0]["status"] == "accepted"
    assert "screening_redis_up 0.0" in api.get("/metrics").text
    system.close()


def test_an_old_schema_or_a_storage_that_fails_is_not_ready(portal: Portal, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    system = other(portal.system.settings, storage_url=f"file://{tmp_path}/file/objects")
    answer = create_app(system).test_client().get("/readyz")
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (503, "not_ready")
    assert str(tmp_path) not in answer.text
    assert int(answer.headers["Retry-After"]) > 0
    with portal.system.database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = 'older'"))
    answer = portal.browser().get("/readyz")
    assert answer.status_code == 503
    assert "migrated" in answer.get_json(force=True)["detail"]
    system.close()


def test_a_storage_that_fails_is_answered_and_may_be_tried_again(portal: Portal, tmp_path: Path) -> None:
    run = portal.api().open_run()
    (tmp_path / "file").write_text("not a folder")
    system = other(portal.system.settings, storage_url=f"file://{tmp_path}/file/objects")
    portal.app = create_app(system)
    answer = portal.api().send(run, ("a.png", phantom_png(1)))
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (503, "storage")
    assert int(answer.headers["Retry-After"]) > 0
    assert portal.api().get(f"/api/v1/runs/{run}").get_json()["counts"]["total"] == 0
    system.close()


def test_measures_are_counted_in_sql(portal: Portal) -> None:
    api = portal.api()
    run = api.open_run()
    api.receipts(run, ("a.png", phantom_png(1)), ("b.png", phantom_png(2)), ("text", b"text"))
    before = api.get("/metrics").text
    assert 'screening_jobs{state="preparing"} 2.0' in before
    assert "screening_files_refused_total 1.0" in before
    screen_everything(portal.system, {})
    portal.app.extensions.pop("screening-measures")  # Counts stand twenty times as long as they took.
    after = api.get("/metrics").text
    assert 'screening_jobs{state="screened"} 2.0' in after
    assert "screening_oldest_waiting_seconds 0.0" in after
    assert any(line.startswith("screening_predictions_total{") and line.endswith(" 2.0") for line in after.splitlines())
    assert 'screening_queue_depth{queue="prepare"}' in after


def test_what_stages_take_is_told(portal: Portal) -> None:
    stages = {"claim": {"seconds": 0.5, "scans": 1000}, "infer": {"seconds": 12.0, "scans": 1000}}
    with portal.system.database.write() as session:
        beat(session, portal.system.clock(), "screen@here:7", "screen", {"stages": stages})
    assert "a scan: claim 0.50, infer 12 ms" in portal.api().get("/system").text
    metrics = portal.api().get("/metrics").text
    assert 'screening_stage_seconds_total{stage="infer",worker="screen@here:7"} 12.0' in metrics
    assert 'screening_stage_scans_total{stage="claim",worker="screen@here:7"} 1000.0' in metrics


def test_the_api_document_names_every_route_of_the_contract(portal: Portal) -> None:
    document = portal.api("reader").get("/api/v1/openapi.json").get_json()
    assert document["openapi"] == "3.1.0"
    routes = {(method, path) for path, item in document["paths"].items() for method in item if method != "parameters"}
    for method, path in (
        ("post", "/api/v1/runs"),
        ("get", "/api/v1/runs/{run_id}"),
        ("post", "/api/v1/runs/{run_id}/known"),
        ("post", "/api/v1/runs/{run_id}/admit"),
        ("post", "/api/v1/runs/{run_id}/files"),
        ("post", "/api/v1/runs/{run_id}/submit"),
        ("get", "/api/v1/worklist"),
        ("get", "/api/v1/scans/{scan_id}"),
        ("get", "/api/v1/scans/{scan_id}/rendition.png"),
        ("get", "/api/v1/scans/{scan_id}/thumbnail.jpg"),
        ("get", "/api/v1/scans/{scan_id}/heatmap.png"),
    ):
        assert (method, path) in routes, (method, path)
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


def test_scrapes_that_follow_each_other_count_once(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []
    count = web.metrics._count

    def slowly(session: Session, now: datetime) -> object:
        counts.append(1)
        time.sleep(0.5)
        return count(session, now)

    monkeypatch.setattr(web.metrics, "_count", slowly)
    api = portal.api()
    assert all("screening_jobs" in api.get("/metrics").text for _ in range(3))
    assert len(counts) == 1
