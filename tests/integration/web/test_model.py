"""The model page and its numbers: thresholds to choose from, what is put in force, and what readers measured."""

from pathlib import Path

from sqlalchemy import select

from screening.checkpoints import register
from screening.database.review_tables import Review
from screening.database.tables import AuditEvent, Checkpoint, Prediction
from tests.bundles import make_random_bundle
from tests.integration.web.conftest import Portal
from tests.integration.web.screened import screened_run
from tests.integration.web.signing_in import sign_in

CURVE = {
    "threshold": [0.0, 0.2, 0.4, 0.6, 0.8],
    "sensitivity": [1.0, 0.97, 0.9, 0.9, 0.5],
    "sensitivity_lower_95": [0.97, 0.9, 0.83, 0.83, 0.4],
    "specificity": [0.0, 0.3, 0.6, 0.7, 0.95],
}


def checkpoint_of(portal: Portal) -> str:
    return str(portal.api().get("/api/v1/checkpoints").get_json()["items"][0]["id"])


def with_curve(portal: Portal, checkpoint: str) -> None:
    with portal.system.database.write() as session:
        row = session.get_one(Checkpoint, checkpoint)
        form = row.card["forms"][row.form]
        figures = {**form["figures"], "curves": {"thresholds": CURVE}}
        row.card = {**row.card, "forms": {**row.card["forms"], row.form: {**form, "figures": figures}}}


def test_thresholds_tell_what_the_card_measured_and_what_they_would_mean_here(portal: Portal) -> None:
    screened_run(portal, {f"{n}.png": n / 10 for n in range(10)})
    checkpoint = checkpoint_of(portal)
    with_curve(portal, checkpoint)
    answer = portal.api("reader").get(f"/api/v1/checkpoints/{checkpoint}/thresholds").get_json()
    assert answer["screened"] == 10
    by_threshold = {item["threshold"]: item for item in answer["items"]}
    assert sorted(by_threshold, reverse=True) == [item["threshold"] for item in answer["items"]]
    assert 0.8 not in by_threshold, "it lies over the likely threshold"
    assert 0.4 not in by_threshold, "0.6 catches as many and flags fewer"
    assert by_threshold[0.6]["flagged_share"] == 0.4
    assert round(by_threshold[0.6]["more_reads_a_day"], 9) == -1, "of ten a day one lies between 0.5 and 0.6"
    assert by_threshold[0.2]["sensitivity_lower_95"] == 0.9
    assert [item["threshold"] for item in answer["items"] if item["in_force"]] == [0.5]


def test_an_administrator_applies_a_threshold_of_the_curve_with_a_reason_and_the_promise_goes_with_it(
    portal: Portal,
) -> None:
    screened_run(portal, {"a.png": 0.55, "b.png": 0.3})
    checkpoint = checkpoint_of(portal)
    with_curve(portal, checkpoint)
    given = {"threshold": "0.2", "checkpoint": checkpoint, "reason": "too much is missed"}
    browser, csrf = sign_in(portal, "administrator")
    given["csrf_token"] = csrf
    assert browser.post("/model/operating-point", data={**given, "reason": " "}).status_code == 400
    assert browser.post("/model/operating-point", data={**given, "checkpoint": "other"}).status_code == 409
    assert browser.post("/model/operating-point", data={**given, "threshold": "low"}).status_code == 400
    assert browser.post("/model/operating-point", data=given).status_code == 302
    page = portal.api("reader").get("/api/v1/worklist").get_json()
    assert [item["band"] for item in page["items"]] == ["possible", "possible"]
    assert page["operating_point"]["sensitivity_lower_95"] == 0.9
    with portal.system.database.read() as session:
        event = session.scalars(select(AuditEvent).where(AuditEvent.action == "operating_point.set")).one()
    assert event.detail["reason"] == "too much is missed"
    reader, csrf = sign_in(portal, "reader")
    assert reader.post("/model/operating-point", data={**given, "csrf_token": csrf}).status_code == 403


def test_what_readers_measured_is_told_with_intervals(portal: Portal) -> None:
    screened_run(portal, {"a.png": 0.9, "b.png": 0.8, "c.png": 0.1})
    checkpoint = checkpoint_of(portal)
    with portal.system.database.write() as session:
        for row in session.execute(select(Prediction.scan_id, Prediction.probability)).all():
            session.add(
                Review(
                    scan_id=row.scan_id,
                    reader="reader-1",
                    verdict="no_fracture" if row.probability == 0.8 else "fracture",
                    checkpoint_id=checkpoint,
                    probability=row.probability,
                    threshold=0.5,
                    sampled=row.probability < 0.5,
                    reviewed_at=portal.system.clock(),
                )
            )
    found = portal.api("reader").get(f"/api/v1/checkpoints/{checkpoint}/measured").get_json()
    assert (found["ppv"]["hits"], found["ppv"]["scans"], found["ppv"]["share"]) == (1, 2, 0.5)
    rate = portal.system.settings.review_sample_rate
    assert found["sensitivity"]["estimate"] == 1 / (1 + 1 / rate)
    low, high = found["sensitivity"]["interval_95"]
    assert 0 < low < found["sensitivity"]["estimate"] < high < 1
    empty = portal.api().get(f"/api/v1/checkpoints/{checkpoint}/measured?until=2020-01-01T00:00:00Z").get_json()
    assert (empty["reviews"], empty["sensitivity"]["estimate"]) == (0, None)


def test_filters_of_the_list_reach_exports_and_neighbours(portal: Portal) -> None:
    screened_run(portal, {"ward/a.png": 0.9, "other/b.png": 0.7, "ward/c.png": 0.6, "ward/d.png": 0.1})
    api = portal.api("reader")
    listed = api.get("/api/v1/worklist?search=WARD/&body_part=hand").get_json()["items"]
    assert [item["file_name"] for item in listed] == ["ward/a.png", "ward/c.png", "ward/d.png"]
    whole = api.get("/api/v1/worklist.json?search=ward/")
    assert whole.get_json() == listed
    assert "worklist.json" in whole.headers["Content-Disposition"]
    assert api.get("/api/v1/worklist.json?search=nothing").get_json() == []
    around = api.get(f"/api/v1/worklist/neighbours?search=ward/&scan={listed[1]['scan']}").get_json()
    assert around == {"previous": listed[0]["scan"], "following": [listed[2]["scan"]]}
    refused = api.get("/api/v1/worklist?body_part=hnad")
    assert (refused.status_code, refused.get_json(force=True)["detail"]) == (
        400,
        "No scan has the body part 'hnad'. Choose one of hand.",
    )


def test_an_administrator_names_a_candidate_for_the_archive_and_takes_it_back(portal: Portal, tmp_path: Path) -> None:
    bundle = make_random_bundle(tmp_path / "other", seed=5)
    system = portal.system
    other, _ = register(system.database, system.storage, system.clock(), bundle, bundle.default_form, "tests")
    browser, csrf = sign_in(portal, "administrator")
    assert "Try it on the archive" in browser.get("/model").text

    def candidates() -> list[str]:
        with system.database.read() as session:
            return list(session.scalars(select(Checkpoint.id).where(Checkpoint.candidate)))

    assert browser.post(f"/model/{other}/nominate", data={"csrf_token": csrf}).status_code == 302
    assert candidates() == [other]
    assert "candidate: schedules try it on the archive" in browser.get("/model").text
    assert browser.post("/model/candidate/withdraw", data={"csrf_token": csrf}).status_code == 302
    assert candidates() == []
    active = next(c["id"] for c in portal.api().get("/api/v1/checkpoints").get_json()["items"] if c["active"])
    assert browser.post(f"/model/{active}/nominate", data={"csrf_token": csrf}).status_code == 409
    reader, csrf = sign_in(portal, "reader")
    assert reader.post(f"/model/{other}/nominate", data={"csrf_token": csrf}).status_code == 403
