// The viewer: mounts the scan that the server sent, and goes from scan to scan without loading the page anew.

import { localTimes } from "../times.js";
import { fetchThese, open } from "./ahead.js";
import { hold } from "./hold.js";
import { onKeys } from "./keys.js";
import { mountPicture } from "./mount.js";
import { decide, withdraw } from "./server.js";
import { say, undoable, undone } from "./said.js";
import { seen } from "./seen.js";
import { nextStep, stepTo } from "./steps.js";

const help = document.getElementById("help");
// Read out where the page is swapped under a screen reader.
const arrived = document.getElementById("arrived");
let scan;
let at;
let shown;
let leave;
let unseen;
let busy = false;

function mount() {
  const root = document.getElementById("viewer");
  scan = root.dataset.scan;
  at = location.pathname + location.search;
  shown = mountPicture(root);
  unseen = seen(root);
  leave = hold(scan, Number(root.dataset.renewS), root.querySelector("#held"));
  const form = root.querySelector("#verdicts");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (event.submitter) judge(event.submitter.value);
  });
  form.addEventListener("click", (event) => {
    if (event.detail < 2 || !event.target.closest("button")) return;
    event.preventDefault();
    refuse("A double click counts once.");
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
  fetchThese([stepTo("next"), root.dataset.after].filter(Boolean));
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
    if (push) history.pushState({ depth: depth() + 1 }, "", href);
    document.title = found.title;
    former.replaceWith(document.adoptNode(fresh));
    const theme = document.querySelector('.me input[name="next"]');
    if (theme) theme.value = location.pathname + location.search;
    localTimes(fresh);
    mount();
    const band = fresh.querySelector("div#verdict .band")?.textContent;
    arrived.textContent = band ? `${fresh.dataset.name}, ${band}` : fresh.dataset.name;
    if (focused) document.getElementById(focused)?.focus();
  } catch (error) {
    say(error.message);
  } finally {
    former.removeAttribute("aria-busy");
    busy = false;
  }
}

// How many scans this tab has come from inside the viewer: so many steps back are its own way, whatever the list says now.
const depth = () => history.state?.depth ?? 0;

// Whether there was a next scan to go to.
async function next() {
  if (busy) return false;
  busy = true;
  let href;
  try {
    href = await nextStep();
  } catch (error) {
    say(error.message);
    return true;
  } finally {
    busy = false;
  }
  if (!href) return false;
  await go(href);
  return true;
}

function previous() {
  const href = stepTo("previous");
  if (depth() > 0) history.back();
  else if (href) go(href);
}

// Says so behind the verdict that can still be undone, so that the line tells what its button is for.
function refuse(why) {
  if (busy) return;
  const { name } = document.getElementById("viewer").dataset;
  say([undoable()?.words, why, `Nothing was recorded for ${name}.`].filter(Boolean).join(" "));
}

async function judge(verdict) {
  if (busy) return;
  const why = unseen();
  if (why) return refuse(why);
  const root = document.getElementById("viewer");
  const form = root.querySelector("#verdicts");
  const word = form.querySelector(`[value="${verdict}"]`).firstChild.textContent.trim();
  const words = `${word}: ${root.dataset.name}.`;
  busy = true;
  let review;
  try {
    const comment = form.elements.comment.value;
    review = await decide(scan, { verdict, comment, checkpoint: form.elements.checkpoint.value });
  } catch (error) {
    return say(error.message);
  } finally {
    busy = false;
  }
  say(words, { scan, review: review.id, href: at, words });
  if (await next()) return;
  await go(at, { push: false });
  say(`${words} Nothing follows in this list.`);
}

async function undo() {
  const last = undoable();
  if (!last || busy) return;
  busy = true;
  try {
    await withdraw(last.scan, last.review);
  } catch (error) {
    return say(error.message);
  } finally {
    busy = false;
  }
  undone(last);
  say("Withdrawn.");
  await go(last.href, { push: last.href !== at });
}

// In the reading queue what the network said is folded until it is asked for.
function unfold() {
  const folded = document.querySelector("details#verdict");
  if (folded) folded.open = !folded.open;
}

const verdictKeys = { f: "fracture", n: "no_fracture", u: "unsure", q: "poor_quality" };
const deeds = Object.fromEntries(Object.entries(verdictKeys).map(([key, verdict]) => [key, () => judge(verdict)]));

onKeys(
  {
    ...deeds,
    z: undo,
    c: () => document.getElementById("comment").focus(),
    j: () => void next(),
    k: previous,
    arrowright: () => shown?.arrow(1, 0) || void next(),
    arrowleft: () => shown?.arrow(-1, 0) || previous(),
    arrowup: () => shown?.arrow(0, -1) ?? false,
    arrowdown: () => shown?.arrow(0, 1) ?? false,
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
    p: unfold,
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
