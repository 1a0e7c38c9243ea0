// The next scans, fetched and decoded while this one is looked at.

import { page } from "./server.js";

const FRESH_FOR_MS = 120_000;
const waiting = new Map();

function fetchAhead(href) {
  const entry = { since: performance.now() };
  entry.document = page(href).then(async (found) => {
    const source = found.querySelector("img.original")?.getAttribute("src");
    if (source) {
      // Kept with the entry, so that the browser keeps the decoded picture.
      entry.picture = new Image();
      entry.picture.src = source;
      await entry.picture.decode().catch(() => {});
    }
    return found;
  });
  // A failure shows when the scan is opened, and is tried again then.
  entry.document.catch(() => waiting.delete(href));
  return entry;
}

export function fetchThese(hrefs) {
  for (const href of waiting.keys()) if (!hrefs.includes(href)) waiting.delete(href);
  for (const href of hrefs) if (!waiting.has(href)) waiting.set(href, fetchAhead(href));
}

// The page of a scan: fetched a moment ahead, or now.
export async function open(href) {
  const known = waiting.get(href);
  waiting.delete(href);
  const fresh = known && performance.now() - known.since < FRESH_FOR_MS;
  return (fresh ? known : fetchAhead(href)).document;
}
