"""The portal as people use it: sign in, drop files, watch, read; without a console error or a foreign request."""

import json
import zipfile
from io import BytesIO

from playwright.sync_api import Request, Route, expect

from tests.browser.conftest import Live, Watched
from tests.browser.portal import PATIENCE_MS, drop, upload
from tests.installation import phantom_png

HOSTILE = '<img src=x onerror="document.title=1">\u202egnp.png'


def test_a_sign_in_link_sends_itself_and_keeps_its_secret_out_of_the_referer(live: Live, watched: Watched) -> None:
    page = watched.page
    asked: list[Request] = []

    def keep(request: Request) -> None:
        asked.append(request)

    page.on("request", keep)
    page.goto(live.link())
    page.wait_for_url(f"{live.url}/")
    told = {request.url.removeprefix(live.url): request.all_headers().get("referer") for request in asked}
    # The check of the form wants to be told the site over HTTPS, and nobody may be told more.
    assert told["/sign-in/link"] == told["/static/portal.css"] == f"{live.url}/"
    assert not any("sign-in" in referer for referer in told.values() if referer)


def test_from_dropping_files_to_reading_the_worklist(live: Live, watched: Watched) -> None:
    page = watched.page
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("inside/one.png", phantom_png(901))
    files = {f"IMG_{n:04}.png": phantom_png(n) for n in range(20)}
    files |= {HOSTILE: phantom_png(500), "notes.jpg": b"only text", "more.zip": archive.getvalue()}
    upload(page, live, files, "Ward 7")
    expect(page.locator("#legend")).to_have_text("received 22 · known already 0 · rejected 1 · not sent 0")
    page.click("#open")
    expect(page.locator("h1")).to_have_text("Ward 7")
    # The page goes on by itself, without a reload.
    expect(page.locator("#status")).to_have_attribute("data-state", "complete", timeout=PATIENCE_MS)
    expect(page.locator("#status")).to_contain_text("22 of 22 screened")
    expect(page.locator("#status")).to_contain_text("This is a text, not a radiograph.")
    expect(page).to_have_title("Ward 7")
    assert page.locator("[hx-get]").count() == 0

    page.click("#worklist")
    links = page.locator("#work a.open")
    assert links.count() == 22
    assert HOSTILE in [link.inner_text() for link in links.all()]
    scores = [float(score.inner_text()) for score in page.locator("#work .score").all()]
    assert scores == sorted(scores, reverse=True)

    links.first.click()
    picture = page.locator("img.original")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 180
    overlay = page.locator("#map")
    expect(overlay).to_be_hidden()
    page.wait_for_load_state("load")  # Keys are heard from then on.
    page.keyboard.press("m")
    expect(overlay).to_be_visible()
    assert overlay.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    page.keyboard.press("i")
    expect(page.locator("#frame")).to_have_class("frame inverted")
    first = page.url
    page.keyboard.press("ArrowRight")
    page.wait_for_url(lambda url: url != first)
    page.keyboard.press("ArrowLeft")
    page.wait_for_url(first)


def test_the_same_files_again_are_not_sent_again(live: Live, watched: Watched) -> None:
    page = watched.page
    files = {f"again_{n}.png": phantom_png(2000 + n) for n in range(6)}
    upload(page, live, files, "first")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.url.endswith("/files") else None)
    upload(page, live, files, "second")
    expect(page.locator("#legend")).to_have_text("received 0 · known already 6 · rejected 0 · not sent 0")
    assert sent == []
    page.click("#open")
    expect(page.locator("#status")).to_contain_text("6 of 6 screened", timeout=PATIENCE_MS)


def test_what_the_server_could_not_take_is_sent_again_on_request(live: Live, watched: Watched) -> None:
    page = watched.page
    refuse = True

    def answer(route) -> None:  # type: ignore[no-untyped-def]
        if refuse:
            route.fulfill(status=409, body=json.dumps({"detail": "Not now. Try again."}))
        else:
            route.continue_()

    page.route("**/files", answer)
    page.goto(f"{live.url}/runs/new")
    drop(page, {"one.png": phantom_png(3000)})
    page.click("#start")
    expect(page.locator("#retry")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("#list")).to_contain_text("not sent: Not now. Try again.")
    refuse = False
    page.click("#retry")
    expect(page.locator("#open")).to_be_visible(timeout=PATIENCE_MS)
    # The refusals of this test are complaints of the browser, too.
    watched.complaints[:] = [text for text in watched.complaints if "409" not in text]


def test_thousands_of_files_are_listed_by_the_few_in_sight(live: Live, watched: Watched) -> None:
    page = watched.page
    page.goto(f"{live.url}/runs/new")
    page.evaluate(
        """() => {
          const transfer = new DataTransfer();
          for (let n = 0; n < 5000; n++) transfer.items.add(new File(["x"], `f${n}.jpg`));
          const event = new DragEvent("drop", { dataTransfer: transfer, bubbles: true });
          document.getElementById("drop").dispatchEvent(event);
        }"""
    )
    expect(page.locator("#done")).to_contain_text("0 of 5,000 files", timeout=PATIENCE_MS)
    assert page.locator("#list .row").count() < 60
    page.locator("#list").evaluate("list => { list.scrollTop = list.scrollHeight; }")
    expect(page.locator("#list")).to_contain_text("f4999.jpg")
    assert page.locator("#list .row").count() < 60


def test_signing_out_ends_the_session(live: Live, watched: Watched) -> None:
    page = watched.page
    page.goto(f"{live.url}/account")
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.wait_for_url(f"{live.url}/sign-in")
    page.goto(f"{live.url}/worklist")
    assert page.url.startswith(f"{live.url}/sign-in")


def test_an_upload_that_finds_no_room_waits_and_goes_on_by_itself(live: Live, watched: Watched) -> None:
    page = watched.page
    refusals: list[str] = []

    def refuse_twice(route: Route) -> None:
        if len(refusals) == 2:
            route.continue_()
            return
        refusals.append(route.request.url)
        problem = {"status": 507, "code": "storage_full", "detail": "The server has room for 0 MB more."}
        route.fulfill(
            status=507, content_type="application/problem+json", headers={"Retry-After": "2"}, body=json.dumps(problem)
        )

    page.route("**/api/v1/runs/*/files", refuse_twice)
    page.goto(f"{live.url}/runs/new")
    drop(page, {"late.png": phantom_png(6000)})
    page.click("#start")
    expect(page.locator("#list")).to_contain_text("waiting: The server has room for 0 MB more.")
    expect(page.locator("#open")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("#legend")).to_contain_text("received 1 · known already 0 · rejected 0 · not sent 0")
    # The browser itself complains of every answer with such a status.
    assert [text for text in watched.complaints if "507" not in text] == []
    watched.complaints.clear()
