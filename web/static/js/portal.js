// On every page: times in the reader's own zone, questions before what cannot be undone, filters that send themselves.

import { localTimes } from "./times.js";

localTimes(document);
document.addEventListener("htmx:afterSettle", () => localTimes(document));

document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !window.confirm(question)) event.preventDefault();
});

// A date is valid before it is typed to its end, and arrow keys go through a list by what nobody asked for. So what is
// changed by keyboard counts with Enter or when its field is left, and what is chosen by mouse counts at once.
function sendsItself(form) {
  let byKeyboard = null;
  let changed = null;
  form.querySelector("button").hidden = true;
  form.addEventListener("keydown", (event) => {
    byKeyboard = event.target.matches("select, [type=date]") ? event.target : null;
    if (event.key !== "Enter" || event.target !== changed) return;
    event.preventDefault(); // browsers open a list with it
    form.requestSubmit();
  });
  form.addEventListener("pointerdown", () => (byKeyboard = null));
  form.addEventListener("change", ({ target }) => {
    if (target === byKeyboard) changed = target;
    else form.requestSubmit();
  });
  form.addEventListener("focusout", ({ target }) => {
    if (target === changed) form.requestSubmit();
  });
}

document.querySelectorAll("form[data-autosubmit]").forEach(sendsItself);
