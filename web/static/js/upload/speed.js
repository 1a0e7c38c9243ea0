// How fast bytes move, over the last ten seconds, so that a pause or a slow start does not spoil the estimate.

const OVER_MS = 10_000;

export function makeSpeed() {
  let samples = [];
  return {
    // `sent` bytes went over the line; `handled` bytes are done with, those included that were there already.
    add(sent, handled) {
      const now = performance.now();
      samples.push({ now, sent, handled });
      while (samples.length > 2 && now - samples[0].now > OVER_MS) samples.shift();
    },
    // Bytes per second, or null while there is too little to go by.
    get rates() {
      const [first] = samples;
      const last = samples.at(-1);
      const seconds = samples.length > 1 ? (last.now - first.now) / 1000 : 0;
      if (seconds < 1.5) return null;
      return { sent: (last.sent - first.sent) / seconds, handled: (last.handled - first.handled) / seconds };
    },
    forget() {
      samples = [];
    },
  };
}
