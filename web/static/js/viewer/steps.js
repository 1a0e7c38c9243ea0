// Steps through the worklist: the server looked the scans around this one up, under the filters in the address.

import { open } from "./ahead.js";
import { takeHold } from "./server.js";

const MOST_PASSED = 20;

// The address that a step leads to, on this page or on another one; nothing at the end of the list.
export const stepTo = (id, root = document) => root.querySelector(`#${id}`)?.getAttribute("href");

const scanOf = (href) => new URL(href, location.href).pathname.split("/").pop();

// Where the next step leads. In the reading queue, scans that others have opened since the list was looked up are
// passed over, and the one that is free is taken.
export async function nextStep() {
  let href = stepTo("next");
  if (document.getElementById("viewer").dataset.queue === undefined) return href;
  for (let passed = 0; href && passed < MOST_PASSED; passed += 1) {
    const held = await takeHold(scanOf(href));
    if (held.yours) return href;
    href = stepTo("next", await open(href));
  }
  return href;
}
