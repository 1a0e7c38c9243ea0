// The list: the map over a thumbnail while a row is pointed at or has the focus, and addresses without empty filters.

const list = document.getElementById("work");

function showMap(row, wanted) {
  const map = row?.querySelector(".map");
  if (!map) return;
  if (wanted && !map.src) map.src = map.dataset.src;
  map.hidden = !wanted;
}

function rowOf(node) {
  return node instanceof Element ? node.closest("#work > li") : null;
}

for (const [begin, end] of [["mouseover", "mouseout"], ["focusin", "focusout"]]) {
  list?.addEventListener(begin, (event) => showMap(rowOf(event.target), true));
  list?.addEventListener(end, (event) => {
    const row = rowOf(event.target);
    if (row !== rowOf(event.relatedTarget)) showMap(row, row?.matches(":hover, :focus-within"));
  });
}

document.getElementById("filters")?.addEventListener("formdata", (event) => {
  for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
});
