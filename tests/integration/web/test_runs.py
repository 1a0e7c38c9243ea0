"""The contract of runs and files: what goes in, what comes back, and every kind of bad input."""

import hashlib
import io
import zipfile

import pytest
from PIL import Image
from sqlalchemy import update

from screening.database.tables import Checkpoint
from tests.installation import phantom_png
from tests.integration.web.conftest import Portal
from tests.integration.web.screened import screen_everything

PROBLEM_FIELDS = {"type", "title", "status", "detail", "code"}


BAD_REQUESTS = [
    ("POST", "/api/v1/runs", b"{", "application/json", 400, "bad_json"),
    ("POST", "/api/v1/runs", b"[1]", "application/json", 422, "not_valid"),
    ("POST", "/api/v1/runs", b'{"name": 5}', "application/json", 422, "not_valid"),
    ("POST", "/api/v1/runs", b'{"lane": "soon"}', "application/json", 400, "unknown_lane"),
    ("POST", "/api/v1/runs", b'{"name": "' + b"n" * 201 + b'"}', "application/json", 400, "bad_name"),
    ("GET", "/api/v1/runs/999", b"", "", 404, "unknown_run"),
    ("POST", "/api/v1/runs/999/submit", b"{}", "application/json", 404, "unknown_run"),
    ("POST", "/api/v1/runs/999/files", b"", "multipart/form-data; boundary=x", 404, "unknown_run"),
    ("GET", "/api/v1/runs/999/files", b"", "", 404, "unknown_run"),
    ("POST", "/api/v1/runs/RUN/files", b"{}", "application/json", 415, "wrong_media_type"),
    ("POST", "/api/v1/runs/RUN/files", b"", "multipart/form-data", 400, "bad_request"),
    ("POST", "/api/v1/runs/RUN/files", b"nonsense", "multipart/form-data; boundary=x", 400, "bad_request"),
    ("POST", "/api/v1/runs/RUN/files", b"--x--\r\n", "multipart/form-data; boundary=x", 400, "bad_request"),
    (
        "POST",
        "/api/v1/runs/RUN/files",
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n\xff\xd8\xff cut',
        "multipart/form-data; boundary=x",
        400,
        "bad_request",
    ),
    ("POST", "/api/v1/runs/RUN/known", b'{"sha256": ["zz"]}', "application/json", 422, "not_valid"),
    ("POST", "/api/v1/runs/RUN/known", b"{}", "application/json", 422, "not_valid"),
    ("GET", "/api/v1/worklist?run=999", b"", "", 404, "unknown_run"),
    ("GET", "/api/v1/worklist?cursor=nonsense", b"", "", 400, "bad_cursor"),
    ("GET", "/api/v1/worklist?band=urgent", b"", "", 422, "not_valid"),
    ("GET", "/api/v1/worklist?limit=0", b"", "", 422, "not_valid"),
    ("GET", "/api/v1/worklist.csv?run=999", b"", "", 404, "unknown_run"),
    ("GET", "/api/v1/scans/ffff", b"", "", 404, "unknown_scan"),
    ("GET", "/api/v1/scans/ffff/rendition.png", b"", "", 404, "unknown_scan"),
    ("GET", "/api/v1/scans/ffff/heatmap.png", b"", "", 404, "unknown_scan"),
    ("GET", "/api/v1/scans/ffff/display.jpg", b"", "", 404, "unknown_scan"),
    ("GET", "/api/v1/nothing", b"", "", 404, "not_found"),
    ("DELETE", "/api/v1/runs", b"", "", 405, "method_not_allowed"),
    ("GET", "/api/v1/runs/99999999999999999999999", b"", "", 404, "unknown_run"),
    ("GET", "/api/v1/worklist?run=99999999999999999999999", b"", "", 404, "unknown_run"),
]


def jpeg(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("L", (64, 64), shade).save(out, "JPEG")
    return out.getvalue()


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_run_from_opening_to_ranking(portal: Portal) -> None:
    api = portal.api()
    opened = api.post("/api/v1/runs", {"name": "ward 7", "lane": "urgent"})
    assert opened.status_code == 201
    document = opened.get_json()
    assert document["state"] == "open"
    assert opened.headers["Location"] == f"/api/v1/runs/{document['id']}"
    run = document["id"]

    receipts = api.receipts(run, ("a.png", phantom_png(1)), ("b.png", phantom_png(2)), ("c.png", phantom_png(3)))
    assert [(r["name"], r["status"]) for r in receipts] == [(n, "accepted") for n in ("a.png", "b.png", "c.png")]
    assert receipts[0]["sha256"] == digest(phantom_png(1))

    submitted = api.post(f"/api/v1/runs/{run}/submit")
    assert submitted.status_code == 202
    assert submitted.headers["Location"] == f"/api/v1/runs/{run}"
    assert int(submitted.headers["Retry-After"]) > 0
    assert api.get(f"/api/v1/runs/{run}").get_json()["state"] == "running"

    screen_everything(portal.system, {"a.png": 0.2, "b.png": 0.9, "c.png": 0.6})
    document = api.get(f"/api/v1/runs/{run}").get_json()
    assert document["state"] == "complete"
    assert document["counts"]["total"] == document["counts"]["screened"] == 3
    counts = document["counts"]
    assert (counts["flagged"], counts["likely"], counts["possible"]) == (2, 1, 1)

    listed = portal.api("reader").get(f"/api/v1/worklist?run={run}&band=&limit=&cursor=").get_json()
    assert [(i["file_name"], i["band"]) for i in listed["items"]] == [
        ("b.png", "likely"),
        ("c.png", "possible"),
        ("a.png", "not_flagged"),
    ]
    assert listed["next"] is None
    assert (listed["operating_point"]["threshold"], listed["operating_point"]["likely_threshold"]) == (0.5, 0.75)


def test_files_with_problems_are_rejected_and_their_neighbours_go_on(portal: Portal) -> None:
    api = portal.api()
    run = api.open_run()
    receipts = api.receipts(
        run,
        ("empty.jpg", b""),
        ("good.jpg", jpeg(10)),
        ("text.jpg", b"this is only text"),
        ("huge.png", phantom_png(9) + b"\0" * (1 << 20)),
        ("also good.jpg", jpeg(20)),
    )
    assert [(r["status"], r["code"]) for r in receipts] == [
        ("rejected", "empty"),
        ("accepted", None),
        ("rejected", "not_an_image"),
        ("rejected", "too_large"),
        ("accepted", None),
    ]
    assert all(r["reason"].endswith(".") for r in receipts if r["status"] == "rejected")
    counts = api.get(f"/api/v1/runs/{run}").get_json()["counts"]
    assert (counts["total"], counts["refused"]) == (2, 3)
    kept = api.get(f"/api/v1/runs/{run}/files?limit=2").get_json()
    assert [r["name"] for r in kept["items"]] == ["empty.jpg", "good.jpg"]
    rest = api.get(f"/api/v1/runs/{run}/files?after={kept['next']}").get_json()
    assert [r["name"] for r in rest["items"]] == ["text.jpg", "huge.png", "also good.jpg"]
    assert rest["next"] is None


def test_nothing_temporary_is_left_behind(portal: Portal) -> None:
    api = portal.api()
    run = api.open_run()
    api.receipts(run, ("good.jpg", jpeg(10)), ("text.jpg", b"text"), ("huge.png", b"\x89PNG" + b"\0" * (2 << 20)))
    folder = portal.system.settings.data_dir / "objects"
    assert list((folder / "tmp").iterdir()) == []
    assert len([path for path in (folder / "originals").rglob("*") if path.is_file()]) == 1


def test_a_zip_file_is_admitted_as_a_container(portal: Portal) -> None:
    api = portal.api()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.jpg", jpeg(1))
    run = api.open_run()
    [receipt] = api.receipts(run, ("all.zip", packed.getvalue()))
    assert (receipt["status"], receipt["code"]) == ("accepted", "container")
    api.post(f"/api/v1/runs/{run}/submit")
    document = api.get(f"/api/v1/runs/{run}").get_json()
    assert (document["state"], document["counts"]["unpacking"]) == ("running", 1)


def test_duplicates_within_and_across_runs(portal: Portal) -> None:
    api = portal.api()
    first, second = api.open_run("first"), api.open_run("second")
    data = phantom_png(1)
    assert [r["status"] for r in api.receipts(first, ("a.png", data), ("a.png", data), ("other name.png", data))] == [
        "accepted",
        "duplicate",
        "duplicate",
    ]
    assert api.receipts(second, ("a.png", data))[0]["status"] == "duplicate"
    for run in (first, second):
        api.post(f"/api/v1/runs/{run}/submit")
    screen_everything(portal.system, {})
    listed = api.get(f"/api/v1/worklist?run={first}").get_json()["items"]
    assert sorted(item["file_name"] for item in listed) == ["a.png", "other name.png"]
    assert len({item["scan"] for item in listed}) == 1
    everything = api.get("/api/v1/worklist").get_json()["items"]
    assert len(everything) == 1
    scan = api.get(f"/api/v1/scans/{listed[0]['scan']}").get_json()
    assert len(scan["jobs"]) == 3
    assert len(scan["predictions"]) == 1


def test_known_hashes_need_no_second_upload(portal: Portal) -> None:
    api = portal.api()
    first, second = api.open_run(), api.open_run()
    data, absent = phantom_png(1), digest(b"never sent")
    api.receipts(first, ("a.png", data))
    answer = api.post(f"/api/v1/runs/{second}/known", {"sha256": [digest(data), absent, absent]})
    assert answer.status_code == 200
    assert answer.get_json() == {"missing": [absent]}
    files = [{"name": "b.png", "sha256": digest(data)}, {"name": "c.png", "sha256": absent}]
    admitted = api.post(f"/api/v1/runs/{second}/admit", {"files": files})
    assert admitted.status_code == 202
    assert [(r["name"], r["status"]) for r in admitted.get_json()["files"]] == [("b.png", "duplicate")]
    assert admitted.get_json()["missing"] == [absent]
    assert api.get(f"/api/v1/runs/{second}").get_json()["counts"]["total"] == 1


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd", "../../etc/passwd"),
        ("Röntgen 手 \u202egnp.exe", "Röntgen 手 \u202egnp.exe"),
        ("folder/one.png", "folder/one.png"),
        ("", "unnamed"),
        ("nul\x00byte.png", "nulbyte.png"),
        ("n" * 700 + ".png", "n" * 496 + ".png"),
    ],
)
def test_names_are_kept_as_text_and_never_become_paths(portal: Portal, sent: str, kept: str) -> None:
    api = portal.api()
    run = api.open_run()
    [receipt] = api.receipts(run, (sent, jpeg(5)))
    assert (receipt["status"], receipt["name"]) == ("accepted", kept)
    assert api.get(f"/api/v1/runs/{run}/files").get_json()["items"][0]["name"] == kept
    stored = [path for path in portal.system.settings.data_dir.rglob("*") if path.name in sent and path.name]
    assert stored == []


def test_submitting_twice_is_no_error_and_ends_the_upload(portal: Portal) -> None:
    api = portal.api()
    run = api.open_run()
    api.receipts(run, ("a.jpg", jpeg(1)))
    assert [api.post(f"/api/v1/runs/{run}/submit").status_code for _ in range(2)] == [202, 202]
    late = api.send(run, ("b.jpg", jpeg(2)))
    assert late.status_code == 409
    assert late.get_json()["code"] == "run_closed"
    assert api.get(f"/api/v1/runs/{run}").get_json()["counts"]["total"] == 1
    admitted = api.post(f"/api/v1/runs/{run}/admit", {"files": []})
    assert admitted.status_code == 409


def test_an_empty_run_is_complete_when_it_is_submitted(portal: Portal) -> None:
    api = portal.api()
    run = api.open_run()
    assert api.post(f"/api/v1/runs/{run}/submit").get_json()["state"] == "complete"


def test_pause_resume_lane_and_cancel(portal: Portal) -> None:
    api = portal.api()
    run = api.open_run(lane="archive")
    api.receipts(run, ("a.jpg", jpeg(1)))
    assert api.post(f"/api/v1/runs/{run}/pause").get_json()["state"] == "paused"
    assert api.post(f"/api/v1/runs/{run}/resume").get_json()["state"] == "open"
    moved = api.client.patch(f"/api/v1/runs/{run}", json={"lane": "urgent"}, headers=api.headers)
    assert moved.get_json()["lane"] == "urgent"
    wrong = api.client.patch(f"/api/v1/runs/{run}", json={"lane": "soon"}, headers=api.headers)
    assert (wrong.status_code, wrong.get_json()["code"]) == (400, "unknown_lane")
    cancelled = api.post(f"/api/v1/runs/{run}/cancel").get_json()
    assert (cancelled["state"], cancelled["counts"]["cancelled"]) == ("cancelled", 1)
    assert api.post(f"/api/v1/runs/{run}/resume").status_code == 409
    assert api.post(f"/api/v1/runs/{run}/submit").status_code == 409


def test_a_run_that_did_not_change_is_not_sent_again(portal: Portal) -> None:
    api = portal.api()
    run = api.open_run()
    api.post(f"/api/v1/runs/{run}/submit")
    first = api.get(f"/api/v1/runs/{run}")
    tag = first.headers["ETag"]
    assert not tag.startswith("W/")
    again = api.get(f"/api/v1/runs/{run}", **{"If-None-Match": tag})
    assert (again.status_code, again.data) == (304, b"")
    other = api.open_run()
    assert api.get(f"/api/v1/runs/{other}", **{"If-None-Match": tag}).status_code == 200


def test_the_list_of_runs_has_pages_and_a_search(portal: Portal) -> None:
    api = portal.api()
    ids = [api.open_run(f"ward {n}") for n in range(5)]
    page = api.get("/api/v1/runs?limit=3").get_json()
    assert [run["id"] for run in page["items"]] == ids[:1:-1]
    rest = api.get(f"/api/v1/runs?limit=3&before={page['next']}").get_json()
    assert [run["id"] for run in rest["items"]] == ids[1::-1]
    assert rest["next"] is None
    assert [run["id"] for run in api.get("/api/v1/runs?search=WARD%203").get_json()["items"]] == [ids[3]]


def test_bad_requests_get_a_sentence_and_a_code(portal: Portal) -> None:
    api = portal.api()
    run = str(api.open_run())
    for method, path, body, kind, status, code in BAD_REQUESTS:
        headers = {**api.headers, **({"Content-Type": kind} if kind else {})}
        answer = api.client.open(path.replace("RUN", run), method=method, data=body, headers=headers)
        document = answer.get_json(force=True)
        assert (answer.status_code, document["code"]) == (status, code), f"{method} {path}: {document}"
        assert answer.content_type == "application/problem+json"
        assert set(document) >= PROBLEM_FIELDS
        assert document["status"] == status
        assert document["detail"].rstrip().endswith("."), f"{method} {path}: {document}"


def test_a_request_over_the_limit_is_refused_whole(portal: Portal) -> None:
    api = portal.api()
    run = api.open_run()
    answer = api.send(run, *((f"{n}.jpg", jpeg(n) + b"\0" * 900_000) for n in range(10)))
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (413, "too_large")
    document = api.client.post(
        f"/api/v1/runs/{run}/known", data=b" " * (17 << 20), headers={**api.headers, "Content-Type": "application/json"}
    )
    assert document.status_code == 413


def test_an_open_run_without_an_active_checkpoint_is_refused(portal: Portal) -> None:
    with portal.system.database.write() as session:
        session.execute(update(Checkpoint).values(active=False))
    answer = portal.api().post("/api/v1/runs", {"name": "x"})
    assert (answer.status_code, answer.get_json()["code"]) == (409, "no_checkpoint")
