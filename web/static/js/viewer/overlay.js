// The map of where the network looked, over the picture: off at first, fetched when it is asked for.

export function overlay(root) {
  const map = root.querySelector("#map");
  if (!map) return () => {};
  const button = root.querySelector("#toggle-map");
  const caption = root.querySelector("#map-caption");
  const strength = root.querySelector("#opacity");

  function fade() {
    map.style.opacity = String(Number(strength.value) / 100);
  }

  strength.addEventListener("input", fade);
  fade();
  return function toggle() {
    if (!map.getAttribute("src")) map.src = map.dataset.src;
    map.hidden = !map.hidden;
    caption.hidden = map.hidden;
    button.setAttribute("aria-pressed", String(!map.hidden));
  };
}
