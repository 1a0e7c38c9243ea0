// The run page: what moves is said aloud at every tenth, and a page that nobody sees does not ask.

const spoken = document.getElementById("spoken");
let lastTenth = null;
let lastState = null;

function speak() {
  const { percent, state, screened, total } = document.getElementById("status").dataset;
  const tenth = Math.floor(Number(percent) / 10);
  const first = lastTenth === null;
  if (!first && (tenth !== lastTenth || state !== lastState)) {
    spoken.textContent = `${screened} of ${total} screened, ${state}`;
  }
  lastTenth = tenth;
  lastState = state;
}

document.addEventListener("htmx:afterSettle", speak);
document.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden) event.preventDefault();
});
speak();
