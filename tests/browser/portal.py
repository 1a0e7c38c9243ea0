"""What tests do in the portal, as people do it: drop files, start, and wait until they are screened."""

import base64

from playwright.sync_api import Page, expect

from tests.browser.conftest import Live, Watched
from tests.installation import phantom_png

PATIENCE_MS = 90_000
DROP = """
([files, names]) => {
  const transfer = new DataTransfer();
  files.forEach((encoded, index) => {
    const bytes = Uint8Array.from(atob(encoded), (sign) => sign.charCodeAt(0));
    transfer.items.add(new File([bytes], names[index]));
  });
  document.getElementById("drop").dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true }));
}
"""


def drop(page: Page, files: dict[str, bytes]) -> None:
    """Drop files onto the upload page, as the browser does when a person lets go of them."""
    page.evaluate(DROP, [[base64.b64encode(data).decode() for data in files.values()], list(files)])


def upload(page: Page, live: Live, files: dict[str, bytes], name: str) -> None:
    """Drop files, start, and wait for the page to have submitted the run."""
    page.goto(f"{live.url}/runs/new")
    page.fill("#name", name)
    drop(page, files)
    expect(page.locator("#start")).to_be_enabled()
    page.click("#start")
    expect(page.locator("#open")).to_be_visible(timeout=PATIENCE_MS)


def screened(live: Live, watched: Watched, name: str, first: int, count: int = 5) -> str:
    """Upload and screen phantoms under the name; the number of their run."""
    page = watched.page
    files = {f"{name}/IMG_{n}.png": phantom_png(first + n) for n in range(count)}
    upload(page, live, {**files, f"{name}/broken.png": phantom_png(first)[:900]}, name)
    page.click("#open")
    expect(page.locator("#status")).to_have_attribute("data-state", "complete", timeout=PATIENCE_MS)
    return page.url.rsplit("/", 1)[1]
