"""Worklist, scans and pictures as programs get them."""

import csv
import io

import numpy as np
from PIL import Image

from screening.radiographs.rendition_file import encode_rendition
from screening.storage import rendition_key
from tests.installation import phantom_png
from tests.integration.web.conftest import Portal
from tests.integration.web.screened import screened_run

PICTURES = {
    "rendition.png": "image/png",
    "thumbnail.jpg": "image/jpeg",
    "display.jpg": "image/jpeg",
    "heatmap.png": "image/png",
}


def test_pages_of_the_worklist_join_without_gap_or_repeat(portal: Portal) -> None:
    wanted = {f"{n}.png": n / 20 for n in range(11)}
    run = screened_run(portal, wanted)
    api = portal.api("reader")
    names: list[str] = []
    cursor = ""
    while True:
        page = api.get(f"/api/v1/worklist?run={run}&limit=3&cursor={cursor}").get_json()
        assert len(page["items"]) <= 3
        names += [item["file_name"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert names == sorted(wanted, key=lambda name: -wanted[name])
    flagged = api.get(f"/api/v1/worklist?run={run}&band=flagged").get_json()["items"]
    assert [item["probability"] for item in flagged] == [0.5]
    assert api.get(f"/api/v1/worklist?run={run}&band=must_look").get_json()["items"] == []


def test_the_export_has_every_item_and_no_formulas(portal: Portal) -> None:
    run = screened_run(portal, {"=HYPERLINK(1).png": 0.9, 'quote".png': 0.7, "plain.png": 0.1})
    answer = portal.api("reader").get(f"/api/v1/worklist.csv?run={run}")
    assert answer.mimetype == "text/csv"
    assert "attachment" in answer.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["file_name"] for row in rows] == ["'=HYPERLINK(1).png", 'quote".png', "plain.png"]
    assert [row["band"] for row in rows] == ["likely", "possible", "not_flagged"]
    only = portal.api("reader").get(f"/api/v1/worklist.csv?run={run}&band=possible")
    assert [row["file_name"] for row in csv.DictReader(io.StringIO(only.text))] == ['quote".png']
    assert float(rows[0]["probability"]) == 0.9


def test_a_scan_with_everything_that_is_known_of_it(portal: Portal) -> None:
    run = screened_run(portal, {"a.png": 0.75})
    api = portal.api("reader")
    [item] = api.get(f"/api/v1/worklist?run={run}").get_json()["items"]
    scan = api.get(f"/api/v1/scans/{item['scan']}").get_json()
    assert scan["sha256"].startswith(scan["id"])
    assert (scan["body_part"], scan["view"], scan["laterality"]) == ("hand", "frontal", "left")
    [prediction] = scan["predictions"]
    assert (prediction["probability"], prediction["flagged"], prediction["active"]) == (0.75, True, True)
    assert (prediction["band"], prediction["threshold"], prediction["likely_threshold"]) == ("likely", 0.5, 0.75)
    assert [job["state"] for job in scan["jobs"]] == ["screened"]
    assert [rendition["state"] for rendition in scan["renditions"]] == ["ready"]
    assert scan["received_at"].endswith("+00:00")


def test_pictures_are_private_and_not_sent_twice(portal: Portal) -> None:
    run = screened_run(portal, {"a.png": 0.75})
    api = portal.api("reader")
    [item] = api.get(f"/api/v1/worklist?run={run}").get_json()["items"]
    for name, kind in PICTURES.items():
        path = f"/api/v1/scans/{item['scan']}/{name}"
        answer = api.get(path)
        assert (answer.status_code, answer.mimetype) == (200, kind), path
        assert answer.headers["Cache-Control"].startswith("private, max-age="), path
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        again = api.get(path, **{"If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b""), path
    overlay = Image.open(io.BytesIO(api.get(f"/api/v1/scans/{item['scan']}/heatmap.png").data)).convert("RGBA")
    assert overlay.size == (60, 64)
    assert overlay.getpixel((5, 5))[3] > overlay.getpixel((55, 60))[3], "the map's strong corner must be seen"


def test_a_scan_without_picture_or_prediction_says_so(portal: Portal) -> None:
    api = portal.api()
    run = api.open_run()
    [receipt] = api.receipts(run, ("a.png", phantom_png(1)))
    scan = receipt["sha256"][:32]
    for name in PICTURES:
        answer = api.get(f"/api/v1/scans/{scan}/{name}")
        assert (answer.status_code, answer.get_json(force=True)["code"]) == (404, "no_picture"), name


def test_a_thumbnail_is_the_rendition_made_small_and_a_damaged_one_is_told(portal: Portal) -> None:
    run = screened_run(portal, {"a.png": 0.75})
    api = portal.api("reader")
    [item] = api.get(f"/api/v1/worklist?run={run}").get_json()["items"]
    scan = item["scan"]
    rendition = np.tile(np.arange(256, dtype=np.uint8), (200, 1))
    key = rendition_key(scan, api.get(f"/api/v1/scans/{scan}").get_json()["renditions"][0]["spec"])
    portal.system.storage.put(key, encode_rendition(rendition))
    answer = api.get(f"/api/v1/scans/{scan}/thumbnail.jpg")
    small = Image.open(io.BytesIO(answer.data))
    assert (small.size, small.mode) == ((144, 113), "L")
    assert len(answer.data) * 10 < rendition.size
    assert np.abs(np.asarray(small, float) - np.asarray(Image.fromarray(rendition).resize(small.size))).mean() < 2
    portal.system.storage.put(key, encode_rendition(rendition)[:1000])
    damaged = api.get(f"/api/v1/scans/{scan}/thumbnail.jpg")
    assert (damaged.status_code, damaged.get_json(force=True)["code"]) == (404, "picture_missing")


def test_an_administrator_sets_an_operating_point_and_the_list_is_ranked_by_it_at_once(portal: Portal) -> None:
    run = screened_run(portal, {"a.png": 0.9, "b.png": 0.6, "c.png": 0.35})
    api = portal.api("administrator")
    [checkpoint] = api.get("/api/v1/checkpoints").get_json()["items"]
    assert (checkpoint["operating_point"]["threshold"], checkpoint["operating_point"]["likely_threshold"]) == (
        0.5,
        0.75,
    )
    path = f"/api/v1/checkpoints/{checkpoint['id']}/operating-point"

    def bands() -> list[str]:
        return [item["band"] for item in api.get(f"/api/v1/worklist?run={run}").get_json()["items"]]

    assert bands() == ["likely", "possible", "not_flagged"]
    answer = api.put(path, {"threshold": 0.3, "reason": "catch more"})
    assert answer.status_code == 200, answer.text
    assert answer.get_json()["operating_point"]["target_sensitivity"] == 0.95
    assert bands() == ["likely", "possible", "possible"]
    assert api.put(path, {"threshold": 0.55, "likely_threshold": 0.6, "reason": "few"}).status_code == 200
    assert bands() == ["likely", "likely", "not_flagged"]
    counts = api.get(f"/api/v1/runs/{run}").get_json()["counts"]
    assert (counts["likely"], counts["possible"], counts["flagged"]) == (2, 0, 2)

    refused = api.put(path, {"threshold": 0.7, "reason": "fewer"})
    assert (refused.status_code, refused.get_json(force=True)["code"]) == (400, "likely_below_threshold")
    assert "Give a likely threshold of at least 0.7, too." in refused.get_json(force=True)["detail"]
    assert api.put(path, {"threshold": 0.7}).status_code == 422, "a change needs a reason"
    assert bands() == ["likely", "likely", "not_flagged"]


def test_an_unknown_band_is_refused(portal: Portal) -> None:
    answer = portal.api().get("/api/v1/worklist?band=normal")
    assert answer.status_code == 422
    assert "possible" in answer.get_json(force=True)["detail"]
