// What the viewer says: one line at the foot of the picture, read out too, with ten seconds to undo verdicts.

const UNDO_FOR_MS = 10_000;
const line = document.getElementById("said");
const words = document.getElementById("said-words");
const button = document.getElementById("undo");
let verdicts = [];
let timer;

// With a verdict, { scan, review, href, words }, that can be undone from now on. Those before it can be undone after it,
// all until nothing was said for ten seconds.
export function say(text, verdict) {
  clearTimeout(timer);
  if (verdict) verdicts.push(verdict);
  words.textContent = text;
  button.hidden = !verdicts.length;
  line.classList.add("shown");
  timer = setTimeout(() => {
    line.classList.remove("shown");
    button.hidden = true;
    verdicts = [];
  }, UNDO_FOR_MS);
}

// The latest verdict that can be undone.
export const undoable = () => verdicts.at(-1);

// It was undone: the one before is the latest.
export const undone = (verdict) => (verdicts = verdicts.filter((other) => other !== verdict));
