// The upload page: puts files, queue and list together, and says how far things are.

import { openRun, submit } from "./api.js";
import { chosen, dropped } from "./files.js";
import { makeList, readableSize } from "./list.js";
import { makeQueue } from "./queue.js";

const at = (id) => document.getElementById(id);
const page = at("upload");
const items = [];
const list = makeList(at("list"), items);
const queue = makeQueue(items, refresh);

let run = page.dataset.run ? Number(page.dataset.run) : null;
let started = null;
let submitted = false;
let lastShown = 0;
let timer = null;

function add(files) {
  for (const { name, file } of files) {
    items.push({ name, file, sent: 0, sha256: null, reason: null, state: "waiting" });
  }
  at("list").hidden = at("totals").hidden = items.length === 0;
  at("start").disabled = items.length === 0;
  queue.added();
  refresh();
}

// Many files end in one second: the numbers are redrawn a few times in it, not for each.
function refresh() {
  list.refresh();
  const now = performance.now();
  if (now - lastShown > 200) show();
  else timer ??= setTimeout(show, 220);
}

function show() {
  clearTimeout(timer);
  timer = null;
  lastShown = performance.now();
  const counts = { accepted: 0, duplicate: 0, rejected: 0, broken: 0 };
  let bytes = 0;
  let sent = 0;
  let done = 0;
  for (const item of items) {
    bytes += item.file.size;
    sent += item.sent;
    if (item.state in counts) {
      counts[item.state]++;
      done++;
    }
  }
  const number = (value) => value.toLocaleString();
  at("done").textContent = `${number(done)} of ${number(items.length)} files · ${readableSize(sent)} of ${readableSize(bytes)}`;
  at("legend").textContent =
    `received ${number(counts.accepted)} · known already ${number(counts.duplicate)} · ` +
    `rejected ${number(counts.rejected)} · not sent ${number(counts.broken)}`;
  at("speed").textContent = speed(sent, bytes, done);
  at("bar").setAttribute("viewBox", `0 0 ${Math.max(1, bytes)} 1`);
  at("bar").firstElementChild.setAttribute("width", String(sent));
  at("bar").setAttribute("aria-label", `${done} of ${items.length} files uploaded`);
  buttons(counts);
}

function speed(sent, bytes, done) {
  if (started === null || submitted || done === items.length) return "";
  if (queue.paused) return "paused";
  if (queue.held) return `waiting: ${queue.held}`;
  const seconds = (performance.now() - started) / 1000;
  if (seconds < 2 || !sent) return "";
  const left = Math.round(((bytes - sent) / sent) * seconds);
  return `${readableSize(sent / seconds)}/s · ${left < 90 ? `${left} s` : `${Math.round(left / 60)} min`} left`;
}

function buttons(counts) {
  const running = started !== null && !submitted;
  at("start").hidden = started !== null;
  at("pause").hidden = !running || queue.idle;
  at("pause").textContent = queue.paused ? "Go on" : "Pause";
  at("retry").hidden = !running || counts.broken === 0;
  at("finish").hidden = !running || !queue.idle || counts.broken === 0;
  if (running && items.length && queue.idle && counts.broken === 0) finish();
  if (running && queue.idle && counts.broken > 0) {
    at("spoken").textContent = `${counts.broken} files were not sent. Send them again, or go on without them.`;
  }
}

async function finish() {
  if (submitted) return;
  submitted = true;
  try {
    await submit(run);
    at("open").hidden = false;
    at("drop").hidden = true;
    for (const id of ["pause", "retry", "finish"]) at(id).hidden = true;
    at("spoken").textContent = at("legend").textContent;
    window.removeEventListener("beforeunload", warn);
  } catch (error) {
    submitted = false;
    say(error.message);
  }
}

function say(text) {
  at("trouble").textContent = text;
  at("trouble").hidden = !text;
}

function warn(event) {
  event.preventDefault();
}

async function start() {
  say("");
  at("start").disabled = true;
  try {
    run ??= (await openRun(at("name").value, at("lane").value)).id;
  } catch (error) {
    say(error.message);
    at("start").disabled = false;
    return;
  }
  at("open").href = `/runs/${run}`;
  for (const id of ["name", "lane"]) if (at(id)) at(id).disabled = true;
  started = performance.now();
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
  await dropped(event.dataTransfer, add);
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
at("pause").addEventListener("click", () => queue.pause(!queue.paused));
at("retry").addEventListener("click", () => queue.retry());
at("finish").addEventListener("click", finish);
