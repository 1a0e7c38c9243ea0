// A call that must get through: what stands in its way and passes is waited for.

import { Refusal } from "./api.js";

const LONGEST_S = 15;

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Calls again, later each time, until the server takes it; `told` hears why not yet. Throws where it says no.
export async function untilTaken(call, told) {
  for (let pause = 1; ; pause = Math.min(2 * pause, LONGEST_S)) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof Refusal && error.passing)) throw error;
      told(error.message);
      await sleep(1000 * (error.wait || pause));
    }
  }
}
