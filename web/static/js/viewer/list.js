// The worklist that the reader came from: which scan is before this one, which is next, and what comes after the page.

import { page } from "./server.js";

const KEY = "worklist";

const pathOf = (href) => new URL(href, location.href).pathname;

// { links, back, more } as the worklist left them: the addresses of its scans, its own, and that of its next page or null.
// A scan that is listed under two names is read once.
function stored() {
  const list = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
  if (!list) return null;
  const paths = list.links.map(pathOf);
  return { ...list, links: list.links.filter((_, index) => paths.indexOf(paths[index]) === index) };
}

function linksOf(root) {
  return [...root.querySelectorAll("#work a.open")].map((link) => link.getAttribute("href"));
}

// Where a scan stands. A scan that is not in the list, but was opened from one that is (another view of the study),
// stands right behind that one.
export function placeOf(path) {
  const list = stored();
  if (!list) return null;
  const { links } = list;
  const index = links.findIndex((link) => pathOf(link) === path);
  if (index >= 0) {
    if (list.at !== links[index]) sessionStorage.setItem(KEY, JSON.stringify({ ...list, at: links[index] }));
    return around(list, index + 1, links[index - 1], index + 1);
  }
  const from = document.referrer && pathOf(document.referrer).startsWith("/scans/") ? links.indexOf(list.at) : -1;
  return from < 0 ? null : around(list, null, links[from], from + 1);
}

// `number`: the scan's own, from 1, where it is in the list; `open`: the list has more pages than are known.
function around({ links, back, more }, number, previous, behind) {
  return { number, total: links.length, previous, ahead: links.slice(behind), back, open: Boolean(more) };
}

const nextOf = (root) => root.querySelector('a[rel="next"]')?.getAttribute("href") ?? null;

// Adds the list's next page. It begins behind the last scan by key, so what was read since has moved nothing.
export async function loadMore() {
  const list = stored();
  if (!list?.more) return;
  const found = await page(list.more);
  const known = new Set(list.links.map(pathOf));
  const fresh = linksOf(found).filter((link) => !known.has(pathOf(link)));
  const now = stored();
  if (now?.more !== list.more) return;
  sessionStorage.setItem(KEY, JSON.stringify({ ...now, links: [...list.links, ...fresh], more: nextOf(found) }));
}
