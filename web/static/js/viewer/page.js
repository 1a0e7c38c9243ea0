// The viewer: mounts the scan that the server sent, and goes from scan to scan without loading the page anew.

import { localTimes } from "../times.js";
import { fetchThese, open } from "./ahead.js";
import { hold } from "./hold.js";
import { onKeys } from "./keys.js";
import { loadMore, placeOf } from "./list.js";
import { mountPicture } from "./mount.js";
import { decide, withdraw } from "./server.js";
import { say, undoable } from "./said.js";

const AHEAD = 2;
const help = document.getElementById("help");
// Read out where the page is swapped under a screen reader.
const arrived = document.getElementById("arrived");
let scan;
let at;
let shown;
let leave;
let busy = false;

function mount() {
  const root = document.getElementById("viewer");
  scan = root.dataset.scan;
  at = location.pathname + location.search;
  shown = mountPicture(root);
  leave = hold(scan, Number(root.dataset.renewS), root.querySelector("#held"));
  root.querySelector("#verdicts").addEventListener("submit", (event) => {
    event.preventDefault();
    if (event.submitter) judge(event.submitter.value);
  });
  root.querySelector("#comment").addEventListener("keydown", (event) => {
    if (event.key !== "Escape" && (event.key !== "Enter" || event.shiftKey)) return;
    event.preventDefault();
    event.stopPropagation();
    event.target.blur();
  });
  const opener = root.querySelector("#help-open");
  opener.hidden = false;
  opener.addEventListener("click", () => help.showModal());
  for (const [id, step] of [["previous", previous], ["next", next]]) {
    root.querySelector(`#${id}`).addEventListener("click", (event) => {
      event.preventDefault();
      step();
    });
  }
  showPlace();
}

// The address that a step leads to: as the list has it that the reader came from, or as the server looked it up.
function stepTo(id) {
  return document.getElementById(id).getAttribute("href");
}

// Where the scan stands in the list, and what lies around it; asks for the list's next page before it is needed.
async function showPlace() {
  const path = location.pathname;
  const draw = () => {
    if (location.pathname !== path) return null;
    const root = document.getElementById("viewer");
    const place = placeOf(path);
    if (!place) {
      fetchThese([stepTo("next"), root.dataset.after].filter(Boolean));
      return null;
    }
    for (const [id, href] of [["previous", place.previous], ["next", place.ahead[0]]]) {
      const link = root.querySelector(`#${id}`);
      link.hidden = !href;
      if (href) link.href = href;
      else link.removeAttribute("href");
    }
    root.querySelector("#back").href = place.back;
    const number = place.number ? ` ${place.number} of` : "";
    root.querySelector("#place").textContent = `${number} ${place.total}${place.open ? "+" : ""}`;
    fetchThese(place.ahead.slice(0, AHEAD));
    return place;
  };
  const place = draw();
  if (place && place.open && place.ahead.length < AHEAD + 1) {
    // Without its next page the list ends here, and the reader goes back to it.
    await loadMore().catch(() => {});
    draw();
  }
}

async function go(href, { push = true } = {}) {
  if (busy) return;
  busy = true;
  const former = document.getElementById("viewer");
  former.setAttribute("aria-busy", "true");
  try {
    const found = await open(href);
    const fresh = found.getElementById("viewer");
    // The sign-in has ended, or the scan is gone: the server's page says which.
    if (!fresh) return location.assign(href);
    leave();
    shown?.dispose();
    const focused = document.activeElement?.id;
    if (push) history.pushState(null, "", href);
    document.title = found.title;
    former.replaceWith(document.adoptNode(fresh));
    const theme = document.querySelector('.me input[name="next"]');
    if (theme) theme.value = location.pathname + location.search;
    localTimes(fresh);
    mount();
    arrived.textContent = [fresh.dataset.name, fresh.querySelector("#verdict .band")?.textContent].filter(Boolean).join(", ");
    if (focused) document.getElementById(focused)?.focus();
  } catch (error) {
    say(error.message);
  } finally {
    former.removeAttribute("aria-busy");
    busy = false;
  }
}

function next() {
  const href = stepTo("next");
  if (href) go(href);
}

function previous() {
  const href = stepTo("previous");
  if (href) go(href);
}

async function judge(verdict) {
  if (busy) return;
  const root = document.getElementById("viewer");
  const original = root.querySelector(".original");
  if (original && !original.complete) return say("The picture is not here yet. Nothing was recorded.");
  const form = root.querySelector("#verdicts");
  const word = form.querySelector(`[value="${verdict}"]`).firstChild.textContent.trim();
  const name = root.dataset.name;
  busy = true;
  let review;
  try {
    const comment = form.elements.comment.value;
    review = await decide(scan, { verdict, comment, checkpoint: form.elements.checkpoint?.value ?? null });
  } catch (error) {
    return say(error.message);
  } finally {
    busy = false;
  }
  say(`${word}: ${name}.`, { scan, review: review.id, href: at });
  const following = stepTo("next");
  await go(following ?? at, { push: Boolean(following) });
  if (!following && placeOf(location.pathname)) say(`${word}: ${name}. It was the last of this list.`);
}

async function undo() {
  const last = undoable();
  if (!last || busy) return;
  try {
    await withdraw(last.scan, last.review);
  } catch (error) {
    return say(error.message);
  }
  say("Withdrawn.", null);
  await go(last.href, { push: last.href !== at });
}

const verdictKeys = { f: "fracture", n: "no_fracture", u: "unsure", q: "poor_quality" };
const deeds = Object.fromEntries(Object.entries(verdictKeys).map(([key, verdict]) => [key, () => judge(verdict)]));

onKeys(
  {
    ...deeds,
    z: undo,
    c: () => document.getElementById("comment").focus(),
    j: next,
    k: previous,
    arrowright: () => shown?.arrow(1, 0) || next(),
    arrowleft: () => shown?.arrow(-1, 0) || previous(),
    arrowup: () => shown?.arrow(0, -1),
    arrowdown: () => shown?.arrow(0, 1),
    "shift+arrowright": () => shown?.pan(-1, 0),
    "shift+arrowleft": () => shown?.pan(1, 0),
    "shift+arrowup": () => shown?.pan(0, 1),
    "shift+arrowdown": () => shown?.pan(0, -1),
    m: () => shown?.map(),
    i: () => shown?.invert(),
    w: () => shown?.windowing(),
    r: () => shown?.asItIs(),
    "+": () => shown?.larger(),
    "=": () => shown?.larger(),
    "-": () => shown?.smaller(),
    0: () => shown?.whole(),
    1: () => shown?.actual(),
    "?": () => help.showModal(),
    escape: () => shown?.leaveMode() || location.assign(document.getElementById("back").href),
  },
  [...Object.keys(verdictKeys), "z", "escape"],
);
document.getElementById("undo").addEventListener("click", undo);
addEventListener("popstate", () => {
  const href = location.pathname + location.search;
  if (busy) location.reload();
  else if (href !== at) go(href, { push: false });
});
mount();
