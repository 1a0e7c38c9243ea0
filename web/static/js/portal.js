// On every page: times in the reader's own zone, questions before what cannot be undone, filters that send themselves.

import { localTimes } from "./times.js";

localTimes(document);
document.addEventListener("htmx:afterSettle", () => localTimes(document));

document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !window.confirm(question)) event.preventDefault();
});

for (const form of document.querySelectorAll("form[data-autosubmit]")) {
  form.querySelector("button").hidden = true;
  form.addEventListener("change", () => form.requestSubmit());
}
