// The worklist that the reader came from: which scan is before this one, which is next, and what comes after the page.

import { page } from "./server.js";

const KEY = "worklist";

// { links, back } as the worklist left them; `more`, once it is known, is the address of the page after, or null.
function stored() {
  return JSON.parse(sessionStorage.getItem(KEY) ?? "null");
}

const pathOf = (href) => new URL(href, location.href).pathname;

function linksOf(root) {
  return [...root.querySelectorAll("#work a.open")].map((link) => link.getAttribute("href"));
}

// Where a scan stands. A scan that is not in the list, but was opened from one that is (another view of the study),
// stands right behind that one.
export function placeOf(path) {
  const list = stored();
  if (!list) return null;
  const { links, back } = list;
  const index = links.findIndex((link) => pathOf(link) === path);
  if (index >= 0) {
    if (list.at !== links[index]) sessionStorage.setItem(KEY, JSON.stringify({ ...list, at: links[index] }));
    return { number: index + 1, previous: links[index - 1], ahead: links.slice(index + 1), back, open: list.more !== null, links };
  }
  const from = document.referrer && pathOf(document.referrer).startsWith("/scans/") ? links.indexOf(list.at) : -1;
  if (from < 0) return null;
  return { number: null, previous: links[from], ahead: links.slice(from + 1), back, open: list.more !== null, links };
}

// Opened by a link that carries the filters, in a tab that never saw the list: the list is looked up.
export async function findList(path) {
  const back = `/worklist${location.search}`;
  const links = linksOf(await page(back));
  if (!links.some((link) => pathOf(link) === path)) return false;
  sessionStorage.setItem(KEY, JSON.stringify({ links, back }));
  return true;
}

// Adds the page after the last one that is known. The page itself may have changed under its filters since it was left
// (what was read is gone from it), so it is looked at again before its successor is.
export async function loadMore() {
  const list = stored();
  if (!list || list.more === null) return;
  const known = new Set(list.links.map(pathOf));
  let more = list.more ?? list.back;
  const fresh = [];
  while (more && fresh.length === 0) {
    const found = await page(more);
    fresh.push(...linksOf(found).filter((link) => !known.has(pathOf(link))));
    more = found.querySelector('a[rel="next"]')?.getAttribute("href") ?? null;
  }
  const now = stored();
  if (now?.back !== list.back) return;
  sessionStorage.setItem(KEY, JSON.stringify({ ...now, links: [...list.links, ...fresh], more }));
}
