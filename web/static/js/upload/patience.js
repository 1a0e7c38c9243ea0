// A call that must get through: what stands in its way and passes is waited for.

import { Refusal } from "./api.js";

export const LONGEST_S = 15;

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Sleeps, but no longer than until the browser says that the connection is back.
export function sleepWhileAway(ms) {
  return new Promise((resolve) => {
    const wake = () => {
      clearTimeout(timer);
      removeEventListener("online", wake);
      resolve();
    };
    const timer = setTimeout(wake, ms);
    addEventListener("online", wake);
  });
}

// Calls again, later each time, until the server takes it; `told` hears why not yet. Throws where it says no.
export async function untilTaken(call, told) {
  for (let pause = 1; ; pause = Math.min(2 * pause, LONGEST_S)) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof Refusal && error.passing)) throw error;
      told(error.message);
      await sleepWhileAway(1000 * (error.wait || pause));
    }
  }
}
