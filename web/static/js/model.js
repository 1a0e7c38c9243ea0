// The operating point as a slider over the thresholds of the list, with what each of them means in words.

const list = document.getElementById("threshold");
const range = document.getElementById("choice-range");
const words = document.getElementById("choice-words");

// Without the line that stands for a threshold in force that is not offered.
const offered = [...(list?.options ?? [])].filter((option) => option.value);

function show() {
  const option = offered[Number(range.value)];
  list.value = option.value;
  words.hidden = false;
  for (const name of ["share", "caught", "bound", "reads"]) {
    document.getElementById(`choice-${name}`).textContent = option.dataset[name];
  }
  range.setAttribute("aria-valuetext", `Threshold ${Number(option.value).toFixed(3)}. ${words.textContent}`);
  allow(true);
}

function allow(chosen) {
  const apply = document.getElementById("choice-apply");
  if (apply) apply.disabled = !chosen;
}

// Nothing is chosen until the slider is moved: it stands at what is nearest to the threshold in force.
function showOther() {
  const distances = offered.map((option) => Math.abs(Number(option.value) - Number(list.dataset.threshold)));
  range.value = String(distances.indexOf(Math.min(...distances)));
  range.setAttribute("aria-valuetext", document.getElementById("choice-other").textContent);
  allow(false);
}

if (list) {
  document.getElementById("choice-list").hidden = true;
  document.getElementById("choice-slider").hidden = false;
  range.addEventListener("input", show);
  const inForce = offered.findIndex((option) => option.dataset.inForce);
  if (inForce < 0) {
    showOther();
  } else {
    range.value = String(inForce);
    show();
  }
}
