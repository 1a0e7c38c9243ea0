// Zoom and pan: wheel, two fingers, dragging and keys move one transformation of the picture and its map together.

const LARGEST = 16;
const STEP = 1.25;

// `dragged(dx, dy, event)` may take a drag for itself by returning true; `zoomed(scale)` is told of every change.
export function picture(stage, layer, { dragged, zoomed }) {
  const original = layer.querySelector(".original");
  let scale = 1;
  let x = 0;
  let y = 0;

  function apply() {
    // The picture never leaves the stage: its edge stops at the stage's edge.
    x = Math.min(0, Math.max(stage.clientWidth * (1 - scale), x));
    y = Math.min(0, Math.max(stage.clientHeight * (1 - scale), y));
    layer.style.transform = scale === 1 ? "" : `translate(${x}px, ${y}px) scale(${scale})`;
    stage.classList.toggle("zoomed", scale > 1);
    zoomed(scale);
  }

  function zoomTo(wanted, atX = stage.clientWidth / 2, atY = stage.clientHeight / 2) {
    const next = Math.min(LARGEST, Math.max(1, wanted));
    x = atX - ((atX - x) * next) / scale;
    y = atY - ((atY - y) * next) / scale;
    scale = next;
    apply();
  }

  function place(event) {
    const box = stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  function move(dx, dy) {
    x += dx;
    y += dy;
    apply();
  }

  function wheel(event) {
    event.preventDefault();
    const pixels = event.deltaY * (event.deltaMode === 1 ? 16 : 1);
    // A pinch on a touchpad arrives as small steps of the wheel with the control key.
    zoomTo(scale * Math.exp(-pixels * (event.ctrlKey ? 0.01 : 0.0015)), ...place(event));
  }

  const fingers = new Map();

  function down(event) {
    if (event.target.closest(".over") || (event.pointerType === "mouse" && event.button !== 0)) return;
    fingers.set(event.pointerId, place(event));
    stage.setPointerCapture(event.pointerId);
  }

  function moved(event) {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const now = place(event);
    const [dx, dy] = [now[0] - before[0], now[1] - before[1]];
    if (fingers.size === 1) {
      if (!dragged(dx, dy, event)) move(dx, dy);
    } else {
      const [other] = [...fingers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
      const apart = (at) => Math.hypot(at[0] - other[0], at[1] - other[1]) || 1;
      zoomTo((scale * apart(now)) / apart(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
      move(dx / 2, dy / 2);
    }
    fingers.set(event.pointerId, now);
  }

  function up(event) {
    fingers.delete(event.pointerId);
  }

  stage.addEventListener("wheel", wheel, { passive: false });
  stage.addEventListener("pointerdown", down);
  stage.addEventListener("pointermove", moved);
  stage.addEventListener("pointerup", up);
  stage.addEventListener("pointercancel", up);
  stage.addEventListener("dblclick", (event) => {
    if (!event.target.closest(".over")) zoomTo(scale > 1 ? 1 : 3, ...place(event));
  });

  return {
    larger: () => zoomTo(scale * STEP),
    smaller: () => zoomTo(scale / STEP),
    whole: () => zoomTo(1),
    // One pixel of the picture on one pixel of the screen.
    actual() {
      const fitted = Math.min(stage.clientWidth / original.naturalWidth, stage.clientHeight / original.naturalHeight);
      zoomTo(1 / (fitted * devicePixelRatio));
    },
    move,
    resized: apply,
  };
}
