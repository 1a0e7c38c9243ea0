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

const links = Object.fromEntries(["previous", "next", "back"].map((step) => [step, document.getElementById(step)]));
if (links.next) {
  // The next picture is fetched while this one is looked at.
  new Image().src = `/api/v1${links.next.pathname}/display.jpg`;
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
  else if (key === "arrowleft" && links.previous) links.previous.click();
  else if (key === "arrowright" && links.next) links.next.click();
  else if (key === "escape" && links.back) links.back.click();
});
