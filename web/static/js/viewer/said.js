// What the viewer says: one line at the foot of the picture, read out too, with ten seconds to undo a verdict.

const UNDO_FOR_MS = 10_000;
const line = document.getElementById("said");
const words = document.getElementById("said-words");
const button = document.getElementById("undo");
let last = null;
let timer;

// Without `undo` the last verdict can still be undone, for ten seconds from now; null ends that.
export function say(text, undo = last) {
  clearTimeout(timer);
  words.textContent = text;
  last = undo;
  button.hidden = !undo;
  line.classList.add("shown");
  timer = setTimeout(() => {
    line.classList.remove("shown");
    button.hidden = true;
    last = null;
  }, UNDO_FOR_MS);
}

// The last verdict, { scan, review, href }, while it can be undone.
export const undoable = () => last;
