// The upload page: puts files, queue and list together, and says how far things are.

import { duration } from "../times.js";
import { SIGNED_OUT, openRun, receiptCounts, submit } from "./api.js";
import { chosen, dropped } from "./files.js";
import { makeList, readableSize } from "./list.js";
import { untilTaken } from "./patience.js";
import { makeQueue } from "./queue.js";
import { makeSpeed } from "./speed.js";

const SHOWN_EVERY_MS = 250;
const SLICE_MS = 20;
const STEPS = ["start", "pause", "retry", "finish", "open"];

const at = (id) => document.getElementById(id);
const page = at("upload");
const title = document.title;
const number = (value) => value.toLocaleString();
const items = [];
const list = makeList(at("list"), items);
const queue = makeQueue(items, refresh);
const speed = makeSpeed();

let run = page.dataset.run ? Number(page.dataset.run) : null;
let looking = 0; // folders that are still being walked, and lists that are still being read
// "choosing" files, "sending" them, "closing" the run when all are there, "closed"; "refused": the server did not close it.
let stage = "choosing";
let lastShown = 0;
let timer = null;

// A browser may ask another process for the size of each file, so thousands are listed in short slices, and each is asked
// for its size only once.
async function add(files) {
  looking++;
  goOn();
  let until = performance.now() + SLICE_MS;
  for (const { name, file, problem } of files) {
    const [size, state] = file ? [file.size, "waiting"] : [0, "broken"];
    items.push({ name, file, size, sent: 0, sha256: null, reason: problem ?? null, state });
    if (performance.now() > until) {
      listed();
      await new Promise((resolve) => setTimeout(resolve));
      until = performance.now() + SLICE_MS;
    }
  }
  looking--;
  listed();
}

function listed() {
  at("list").hidden = at("totals").hidden = items.length === 0;
  at("start").disabled = items.length === 0;
  queue.added();
  refresh();
}

// Many files end in one second: the numbers are redrawn a few times in it, not for each.
function refresh() {
  list.refresh();
  const now = performance.now();
  if (now - lastShown > SHOWN_EVERY_MS) show();
  else timer ??= setTimeout(show, SHOWN_EVERY_MS);
}

function count() {
  const counts = { accepted: 0, duplicate: 0, rejected: 0, broken: 0 };
  let [bytes, handled] = [0, 0];
  for (const item of items) {
    bytes += item.size;
    handled += item.sent;
    if (item.state in counts) counts[item.state]++;
  }
  // What is not sent is not done, and may still be sent.
  return { ...counts, bytes, handled, done: counts.accepted + counts.duplicate + counts.rejected };
}

function show() {
  clearTimeout(timer);
  timer = null;
  lastShown = performance.now();
  const counts = count();
  const { bytes, handled, done } = counts;
  const notSent = counts.broken ? `, ${number(counts.broken)} not sent` : "";
  at("done").textContent =
    `${number(done)} of ${number(items.length)} files${notSent} · ${readableSize(handled)} of ${readableSize(bytes)}`;
  at("done").classList.toggle("short", counts.broken > 0);
  at("legend").textContent =
    `received ${number(counts.accepted)} · known already ${number(counts.duplicate)} · ` +
    `rejected ${number(counts.rejected)} · not sent ${number(counts.broken)}`;
  at("speed").textContent = pace(counts);
  at("bar").setAttribute("viewBox", `0 0 ${Math.max(1, bytes)} 1`);
  at("bar").firstElementChild.setAttribute("width", String(handled));
  at("bar").setAttribute("aria-label", `${done} of ${items.length} files uploaded`);
  if (stage !== "choosing" && items.length) document.title = `${Math.floor((100 * done) / items.length)}% · ${title}`;
  keepFocus(() => buttons(counts));
}

function pace({ bytes, handled }) {
  if (looking) return "looking for files …";
  if (stage !== "sending" || queue.idle) return "";
  if (queue.paused) return "paused";
  if (queue.held) return `waiting: ${queue.held}`;
  speed.add(queue.bytesSent, handled);
  const rates = speed.rates;
  if (!rates?.handled) return "";
  return `${readableSize(rates.sent)}/s · ${duration((bytes - handled) / rates.handled)} left`;
}

// The button that had the focus may hide: it goes to the next that is there, and rests on the numbers while there is none.
let follows = false;
function keepFocus(change) {
  const focused = document.activeElement;
  follows = STEPS.some((id) => at(id) === focused) || (follows && (focused === document.body || focused === at("totals")));
  change();
  if (!follows || !(focused.hidden || focused === document.body || focused === at("totals"))) return;
  const next = STEPS.map(at).find((button) => !button.hidden && !button.disabled);
  (next ?? at("totals")).focus({ preventScroll: true });
}

function buttons(counts) {
  const running = stage === "sending" || stage === "refused";
  const idle = running && queue.idle && !looking;
  const sendable = items.some((item) => item.state === "broken" && item.file);
  at("start").hidden = stage !== "choosing";
  at("pause").hidden = !running || queue.idle;
  at("pause").textContent = queue.paused ? "Go on" : "Pause";
  at("retry").hidden = !running || !sendable;
  at("finish").hidden = !idle || (counts.broken === 0 && stage !== "refused");
  if (idle && items.length && counts.broken === 0 && stage === "sending") finish();
  if (stage === "sending") {
    if (queue.signedOut) say(SIGNED_OUT, true);
    else say(idle && counts.broken ? leftOver(counts.broken, sendable) : "");
  }
}

function leftOver(count, sendable) {
  const which = count === 1 ? "1 file was" : `${number(count)} files were`;
  const them = count === 1 ? "it" : "them";
  return `${which} not sent: see the list. ${sendable ? `Send ${them} again, or go` : "Go"} on without ${them}.`;
}

async function finish() {
  if (taken()) return;
  stage = "closing";
  at("drop").hidden = true;
  for (const id of ["pause", "retry", "finish"]) at(id).hidden = true;
  try {
    await untilTaken(() => submit(run), (why) => notClosed(`${why} This page tries again by itself.`));
  } catch (error) {
    stage = "refused";
    at("drop").hidden = false;
    notClosed(error.message, error.signedOut);
    refresh();
    return;
  }
  stage = "closed";
  say("");
  keepFocus(() => (at("open").hidden = false));
  document.title = `Done · ${title}`;
  at("spoken").textContent = at("legend").textContent;
  try {
    await untilTaken(receipt, say);
    say("");
  } catch (error) {
    say(error.message, error.signedOut);
  }
}

function goOn() {
  if (stage === "refused") stage = "sending";
}

// Whether it is too late for more files.
const taken = () => stage === "closing" || stage === "closed";

// The page of the run is the other way: there, too, one can say that no more files come.
function notClosed(why, signedOut) {
  say(`The run is not closed. ${why}`, signedOut);
  at("open").hidden = false;
}

// The server's own count, because files of earlier visits and other windows are in the run as well.
async function receipt() {
  const counts = await receiptCounts(run);
  for (const status of ["accepted", "duplicate", "rejected"]) {
    at(`count-${status}`).textContent = number(counts[status]);
    at(`count-${status}`).href = `/runs/${run}/receipts?status=${status}`;
  }
  at("receipt-csv").href = `/api/v1/runs/${run}/files.csv`;
  at("receipt-page").href = `/runs/${run}/receipts`;
  at("receipt").hidden = false;
}

function say(text, signedOut = false) {
  const trouble = at("trouble");
  if (trouble.firstChild?.textContent.trim() === text) return; // said already, and read out once
  trouble.textContent = text;
  trouble.hidden = !text;
  if (!signedOut) return;
  const link = document.createElement("a");
  [link.href, link.target, link.textContent] = ["/sign-in", "_blank", "Sign in"];
  trouble.append(" ", link);
}

function warn(event) {
  if (stage === "sending" || stage === "closing") event.preventDefault();
}

async function start() {
  say("");
  follows = true; // a button that is disabled gives its focus away
  at("start").disabled = true;
  try {
    run ??= (await openRun(at("name").value, at("lane").value)).id;
  } catch (error) {
    say(error.message, error.signedOut);
    at("start").disabled = false;
    return;
  }
  at("open").href = `/runs/${run}`;
  for (const id of ["name", "lane"]) if (at(id)) at(id).disabled = true;
  if (at("unfinished")) at("unfinished").hidden = true;
  stage = "sending";
  window.addEventListener("beforeunload", warn);
  queue.begin(run);
  refresh();
}

const drop = at("drop");
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) drop.classList.remove("over");
});
document.addEventListener("drop", async (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  if (taken()) return;
  looking++;
  try {
    await dropped(event.dataTransfer, add);
  } finally {
    looking--;
    refresh();
  }
});
at("pick-files").addEventListener("click", () => at("files").click());
at("pick-folder").addEventListener("click", () => at("folder").click());
for (const id of ["files", "folder"]) {
  at(id).addEventListener("change", (event) => {
    add(chosen(event.target.files));
    event.target.value = "";
  });
}
at("start").addEventListener("click", start);
at("pause").addEventListener("click", () => {
  speed.forget();
  queue.pause(!queue.paused);
});
at("retry").addEventListener("click", () => {
  goOn();
  queue.retry();
});
at("finish").addEventListener("click", finish);
