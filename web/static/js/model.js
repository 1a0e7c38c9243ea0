// The operating point as a slider over the thresholds of the list, with what each of them means in words.

const list = document.getElementById("threshold");
const range = document.getElementById("choice-range");

function show() {
  const option = list.options[Number(range.value)];
  list.value = option.value;
  for (const name of ["share", "caught", "bound", "reads"]) {
    document.getElementById(`choice-${name}`).textContent = option.dataset[name];
  }
  const words = document.getElementById("choice-words").textContent;
  range.setAttribute("aria-valuetext", `Threshold ${Number(option.value).toFixed(3)}. ${words}`);
}

if (list) {
  document.getElementById("choice-list").hidden = true;
  document.getElementById("choice-slider").hidden = false;
  document.getElementById("choice-words").hidden = false;
  const inForce = [...list.options].findIndex((option) => option.dataset.inForce);
  range.value = String(Math.max(0, inForce));
  range.addEventListener("input", show);
  show();
}
