// The hold on the scan that is open: taken at once, renewed while the page is seen, let go when it is left.

import { duration } from "../times.js";
import { releaseHold, takeHold } from "./server.js";

export function hold(scan, renewS, shown) {
  let left = false;

  async function take() {
    if (left || document.visibilityState !== "visible") return;
    try {
      const held = await takeHold(scan);
      if (left) return;
      shown.hidden = held.yours;
      if (!held.yours) shown.textContent = `Held by ${held.reader} for ${duration(held.held_for_s)}.`;
    } catch (error) {
      shown.hidden = false;
      shown.textContent = `Others do not see that you have this scan open. ${error.message}`;
    }
  }

  const timer = setInterval(take, renewS * 1000);
  document.addEventListener("visibilitychange", take);
  addEventListener("pagehide", leave);
  take();

  function leave() {
    if (left) return;
    left = true;
    clearInterval(timer);
    document.removeEventListener("visibilitychange", take);
    removeEventListener("pagehide", leave);
    // Where this fails the hold ends by itself.
    releaseHold(scan).catch(() => {});
  }
  return leave;
}
