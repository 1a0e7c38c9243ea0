"""What has no result is called so, and counted alike, wherever a run is shown."""

import csv
import io
import re

from screening.ledger.lease import Lease
from screening.ledger.preparing import claim_renditions, record_rejected
from tests.installation import phantom_png
from tests.integration.web.conftest import Portal
from tests.integration.web.screened import screen_everything
from tests.integration.web.signing_in import sign_in

CUT_OFF = "The file is cut off at 41%. Send it again."


def filled(portal: Portal) -> int:
    """A run of five files: one screened, two of the same cut-off picture, two rejected on arrival."""
    api = portal.api()
    run = api.open_run("ward 7")
    api.receipts(run, ("cut.png", phantom_png(1)), ("cut again.png", phantom_png(1)))
    api.receipts(run, ("text.jpg", b"text"), ("list.jpg", b"list"))
    system = portal.system
    with system.database.write() as session:
        lease = Lease.new(system.clock(), 60)
        for claim in claim_renditions(session, lease, system.clock(), 10):
            record_rejected(session, lease, system.clock(), claim.scan_id, claim.spec, "cut_off", CUT_OFF)
    api.receipts(run, ("good.png", phantom_png(2)))
    api.post(f"/api/v1/runs/{run}/submit")
    screen_everything(system, {"good.png": 0.9})
    return run


def test_what_has_no_result_is_counted_alike_on_every_page(portal: Portal) -> None:
    run = filled(portal)
    browser, _ = sign_in(portal, "operator")
    status = browser.get(f"/runs/{run}").text
    assert re.search(r"No result</dt><dd>4<", status)
    assert "<h2>No result (4)</h2>" in status
    assert re.search(rf'href="/worklist\?run={run}&amp;band=must_look">2 could not be screened</a>', status)
    assert re.search(rf'href="/runs/{run}/receipts\?status=rejected">2 rejected on arrival</a>', status)
    assert re.search(rf'href="/runs/{run}/receipts">Receipts of all files</a>', status)
    row = browser.get("/runs").text.split("<tbody>")[1].split("</tr>")[0]
    assert re.search(rf'href="/runs/{run}/receipts\?status=no_result"[^>]*>4</a>', row)
    assert "Rejected" not in browser.get("/runs").text
    tabs = browser.get(f"/runs/{run}/receipts").text.split('aria-label="Receipts"')[1].split("</nav>")[0]
    assert re.findall(r">([\w ]+)</a>", tabs) == ["All 5", "Accepted 2", "Known already 1", "Rejected 2", "No result 4"]


def test_receipts_say_what_became_of_a_file_that_was_taken(portal: Portal) -> None:
    run = filled(portal)
    browser, _ = sign_in(portal, "reader")
    page = browser.get(f"/runs/{run}/receipts?status=no_result").text
    rows = [re.sub(r"<[^>]+>", "|", row) for row in page.split("<tbody>")[1].split("</tr>")[:-1]]
    assert len(rows) == 4
    assert all("No result" in row for row in rows)
    assert [CUT_OFF in row for row in rows] == [True, True, False, False]
    exported = list(csv.DictReader(io.StringIO(portal.api().get(f"/api/v1/runs/{run}/files.csv").text)))
    assert {row["file_name"]: (row["status"], row["outcome"], row["problem"]) for row in exported} == {
        "cut.png": ("accepted", "rejected", CUT_OFF),
        "cut again.png": ("duplicate", "rejected", CUT_OFF),
        "text.jpg": ("rejected", "", ""),
        "list.jpg": ("rejected", "", ""),
        "good.png": ("accepted", "screened", ""),
    }
    listed = portal.api().get(f"/api/v1/runs/{run}/files?status=no_result&limit=3").get_json()
    assert [(item["name"], item["outcome"]) for item in listed["items"]] == [
        ("cut.png", "rejected"),
        ("cut again.png", "rejected"),
        ("text.jpg", None),
    ]
    rest = portal.api().get(f"/api/v1/runs/{run}/files?status=no_result&after={listed['next']}").get_json()
    assert [item["name"] for item in rest["items"]] == ["list.jpg"]
