// The list of files: however many there are, only the rows in sight are in the page.

const ROW = 36;
const SPARE = 6;

const WORDS = {
  waiting: "waiting",
  checking: "checking",
  sending: "sending",
  accepted: "received",
  duplicate: "known already",
  rejected: "rejected",
  broken: "not sent",
};

export function makeList(box, items) {
  const space = document.createElement("div");
  space.setAttribute("role", "presentation");
  box.append(space);
  const rows = new Map();
  let asked = false;

  function draw() {
    asked = false;
    space.style.height = `${items.length * ROW}px`;
    const first = Math.max(0, Math.floor(box.scrollTop / ROW) - SPARE);
    const last = Math.min(items.length, Math.ceil((box.scrollTop + box.clientHeight) / ROW) + SPARE);
    for (const [index, row] of rows) {
      if (index < first || index >= last) {
        row.remove();
        rows.delete(index);
      }
    }
    for (let index = first; index < last; index++) {
      let row = rows.get(index);
      if (!row) {
        row = makeRow(index);
        rows.set(index, row);
        space.append(row);
      }
      fill(row, items[index]);
    }
  }

  function refresh() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(draw);
  }

  box.addEventListener("scroll", refresh);
  return { refresh };
}

function makeRow(index) {
  const row = document.createElement("div");
  row.className = "row";
  row.setAttribute("role", "listitem");
  row.style.top = `${index * ROW}px`;
  row.append(document.createElement("bdi"), document.createElement("span"), document.createElement("span"));
  return row;
}

function fill(row, item) {
  const [name, size, state] = row.children;
  if (name.textContent !== item.name) {
    name.textContent = item.name;
    name.title = item.name;
    size.textContent = item.file ? readableSize(item.size) : "";
  }
  let words = WORDS[item.state];
  if (item.state === "sending" && item.size) words += ` ${Math.floor((100 * item.sent) / item.size)}%`;
  if (item.reason && item.state !== "duplicate") words += `: ${item.reason}`;
  state.textContent = words;
  state.title = item.reason ?? "";
  state.className = item.state;
}

export function readableSize(bytes) {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(1)} GB`;
  if (bytes >= 1e6) return `${(bytes / 1e6).toFixed(1)} MB`;
  return `${Math.ceil(bytes / 1e3)} kB`;
}
