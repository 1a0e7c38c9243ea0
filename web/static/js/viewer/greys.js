// Window, level and inversion, as the browser shows the picture: the picture itself is never changed.

const SVG = "http://www.w3.org/2000/svg";
const NARROWEST = 0.02;
const WIDEST = 2;

// Greys run from 0 to 1. Those of `width` around `level` are spread from black to white, as one straight line per
// channel, which is what a window is; inverting turns the line over.
export function greys(frame, original, changed) {
  let width = 1;
  let level = 0.5;
  let inverted = false;
  const lines = filterOf(frame);

  function apply() {
    const turn = inverted ? -1 : 1;
    const slope = turn / width;
    const intercept = 0.5 - turn * (level / width);
    for (const line of lines) {
      line.setAttribute("slope", slope);
      line.setAttribute("intercept", intercept);
    }
    const windowed = width !== 1 || level !== 0.5;
    original.style.filter = windowed || inverted ? "url(#greys)" : "";
    frame.classList.toggle("inverted", inverted);
    changed({ windowed, inverted, width, level });
  }

  return {
    invert() {
      inverted = !inverted;
      apply();
    },
    // By shares of the whole range.
    widen(by) {
      width = Math.min(WIDEST, Math.max(NARROWEST, width + by));
      apply();
    },
    brighten(by) {
      level = Math.min(1, Math.max(0, level - by));
      apply();
    },
    reset() {
      [width, level, inverted] = [1, 0.5, false];
      apply();
    },
  };
}

function filterOf(frame) {
  const svg = document.createElementNS(SVG, "svg");
  svg.classList.add("nowhere");
  svg.setAttribute("aria-hidden", "true");
  const filter = svg.appendChild(document.createElementNS(SVG, "filter"));
  filter.id = "greys";
  filter.setAttribute("color-interpolation-filters", "sRGB");
  const transfer = filter.appendChild(document.createElementNS(SVG, "feComponentTransfer"));
  const lines = ["R", "G", "B"].map((channel) => {
    const line = transfer.appendChild(document.createElementNS(SVG, `feFunc${channel}`));
    line.setAttribute("type", "linear");
    return line;
  });
  frame.append(svg);
  return lines;
}

// What is altered, in the units of the display image: greys from 0 to 255.
export function described({ windowed, inverted, width, level }) {
  const parts = [];
  if (inverted) parts.push("inverted");
  if (windowed) parts.push(`window ${Math.round(width * 255)}, level ${Math.round(level * 255)}`);
  return parts.length ? `Shown ${parts.join(", ")}.` : "";
}
