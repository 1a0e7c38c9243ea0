// The run page asks how the run goes on: soon while things move, seldom while they do not, never while nobody looks.

import { duration } from "./times.js";

const SLOWEST_S = 15;
const GONE_SLOWEST_S = 30;

const spoken = document.getElementById("spoken");
const silent = document.getElementById("silent");
const status = () => document.getElementById("status");

let tag = status().dataset.tag;
let wait = Number(status().dataset.poll);
let timer = null;
let lastTenth = null;
let lastState = null;

function ask() {
  clearTimeout(timer); // where somebody came back before it ran out
  timer = null;
  if (document.hidden) return; // asked as soon as somebody looks again
  window.htmx.trigger(status(), "ask");
}

function askLater(seconds) {
  clearTimeout(timer);
  timer = status().dataset.poll ? setTimeout(ask, 1000 * seconds) : null;
}

function speak() {
  const { percent, state, screened, total } = status().dataset;
  const tenth = Math.floor(Number(percent) / 10);
  if (lastTenth !== null && (tenth !== lastTenth || state !== lastState)) {
    spoken.textContent = `${screened} of ${total} screened, ${state}`;
  }
  lastTenth = tenth;
  lastState = state;
}

// Ages grow between two answers, which come only when something else changed.
function grow() {
  for (const element of document.querySelectorAll("time[data-waited]")) {
    element.textContent = duration((Date.now() - new Date(element.dateTime)) / 1000);
  }
}

document.addEventListener("htmx:configRequest", (event) => {
  if (tag) event.detail.headers["If-None-Match"] = `"${tag}"`;
});
document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr } = event.detail;
  if (xhr.status === 304) event.detail.shouldSwap = false;
  else if (xhr.status === 200) tag = xhr.getResponseHeader("ETag")?.replaceAll('"', "");
});
document.addEventListener("htmx:afterSettle", () => {
  document.getElementById("lane-form")?.toggleAttribute("hidden", !status().dataset.poll);
  speak();
  grow();
});
document.addEventListener("htmx:afterRequest", (event) => {
  const { xhr } = event.detail;
  const answered = xhr.status === 200 || xhr.status === 304;
  silent.hidden = answered;
  if (xhr.status === 304) wait = Math.min(wait * 1.5, SLOWEST_S);
  else if (answered) wait = Number(status().dataset.poll);
  else wait = Math.min(wait * 2, GONE_SLOWEST_S);
  askLater(wait);
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && status().dataset.poll) ask();
});
setInterval(grow, 1000);
speak();
grow();
askLater(wait);
