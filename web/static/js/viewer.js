// The viewer: the map over the picture, inverted greys, and the way to the next scan, by mouse and by keyboard.

const frame = document.getElementById("frame");
const map = document.getElementById("map");
const mapButton = document.getElementById("toggle-map");
const invertButton = document.getElementById("toggle-invert");
const opacity = document.getElementById("opacity");

function toggleMap() {
  if (!map) return;
  if (!map.src) map.src = map.dataset.src;
  map.hidden = !map.hidden;
  mapButton.setAttribute("aria-pressed", String(!map.hidden));
  document.getElementById("opacity-field").hidden = map.hidden;
}

function toggleInvert() {
  if (!invertButton) return;
  const inverted = frame.classList.toggle("inverted");
  invertButton.setAttribute("aria-pressed", String(inverted));
}

function setOpacity() {
  map.style.opacity = String(Number(opacity.value) / 100);
}

function neighbours() {
  const stored = JSON.parse(sessionStorage.getItem("worklist") ?? "null");
  const place = stored?.links.indexOf(location.pathname) ?? -1;
  if (place < 0) return {};
  return { previous: stored.links[place - 1], next: stored.links[place + 1], back: stored.back };
}

const around = neighbours();
for (const step of ["previous", "next"]) {
  if (!around[step]) continue;
  const link = document.getElementById(step);
  link.href = around[step];
  link.hidden = false;
}
if (around.next) {
  // The next picture is fetched while this one is looked at.
  new Image().src = `/api/v1${around.next}/display.jpg`;
}

mapButton?.addEventListener("click", toggleMap);
invertButton?.addEventListener("click", toggleInvert);
if (opacity) {
  opacity.addEventListener("input", setOpacity);
  setOpacity();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
  const key = event.key.toLowerCase();
  if (key === "m") toggleMap();
  else if (key === "i") toggleInvert();
  else if (key === "arrowleft" && around.previous) location.href = around.previous;
  else if (key === "arrowright" && around.next) location.href = around.next;
  else if (key === "escape" && around.back) location.href = around.back;
});
