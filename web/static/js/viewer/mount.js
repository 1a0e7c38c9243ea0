// One scan's picture with its tools: zoom and pan, greys, the map, and their buttons.

import { described, greys } from "./greys.js";
import { overlay } from "./overlay.js";
import { picture } from "./picture.js";

const GREY_STEP = 0.04;
const PAN_STEP_PX = 80;

// Null where the scan has no picture.
export function mountPicture(root) {
  const stage = root.querySelector("#stage");
  const frame = root.querySelector("#frame");
  const layer = root.querySelector("#layer");
  if (!layer) return null;
  const find = (id) => root.querySelector(`#${id}`);
  let windowing = false;

  const shades = greys(frame, layer.querySelector(".original"), (state) => {
    const how = described(state);
    find("altered").hidden = !how;
    find("altered-how").textContent = how;
    find("toggle-invert").setAttribute("aria-pressed", String(state.inverted));
  });
  const seen = picture(stage, layer, {
    dragged(dx, dy, event) {
      if (!windowing && !event.shiftKey) return false;
      shades.widen(dx / 400);
      shades.brighten(-dy / 400);
      return true;
    },
    zoomed(scale) {
      find("zoom").textContent = `${Math.round(scale * 100)}%`;
    },
  });
  const map = overlay(root);

  function setWindowing(on) {
    windowing = on;
    stage.classList.toggle("windowing", on);
    find("toggle-window").setAttribute("aria-pressed", String(on));
  }

  const resizes = new ResizeObserver(seen.resized);
  resizes.observe(stage);

  const shown = {
    ...seen,
    map,
    invert: shades.invert,
    windowing: () => setWindowing(!windowing),
    asItIs: shades.reset,
    // In the window mode the arrows change the greys. Whether they did.
    arrow(across, down) {
      if (!windowing) return false;
      if (across) shades.widen(across * GREY_STEP);
      if (down) shades.brighten(-down * GREY_STEP);
      return true;
    },
    pan: (across, down) => seen.move(across * PAN_STEP_PX, down * PAN_STEP_PX),
    leaveMode() {
      const was = windowing;
      setWindowing(false);
      return was;
    },
    dispose: () => resizes.disconnect(),
  };
  const buttons = {
    "toggle-map": map,
    "toggle-invert": shown.invert,
    "toggle-window": shown.windowing,
    "as-it-is": shown.asItIs,
    "zoom-in": shown.larger,
    "zoom-out": shown.smaller,
    "zoom-reset": shown.whole,
  };
  for (const [id, deed] of Object.entries(buttons)) find(id)?.addEventListener("click", deed);
  return shown;
}
