// The keyboard. A key that an input needs for itself stays with the input; verdicts do not repeat while a key is held.

const OF_SLIDERS = ["arrowleft", "arrowright", "arrowup", "arrowdown", "home", "end", "pageup", "pagedown"];

function taken(target, key) {
  if (target.matches("textarea, select, input:not([type=range])")) return true;
  return target.matches("input[type=range]") && OF_SLIDERS.includes(key);
}

// `deeds`: by key, what to do, false where the key is not wanted after all; `once`: the keys that do nothing while they repeat.
export function onKeys(deeds, once) {
  document.addEventListener("keydown", (event) => {
    const key = event.key.toLowerCase();
    if (event.ctrlKey || event.metaKey || event.altKey || taken(event.target, key)) return;
    if (document.querySelector("dialog[open]")) return;
    const deed = deeds[event.shiftKey && key.startsWith("arrow") ? `shift+${key}` : key];
    if (!deed || (event.repeat && once.includes(key))) return;
    if (deed() !== false) event.preventDefault();
  });
}
