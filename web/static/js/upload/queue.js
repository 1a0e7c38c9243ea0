// The upload itself: files are hashed, asked for in groups, and what the server lacks is sent, four at a time.

import { Refusal, admit, known, send } from "./api.js";
import { makeHasher } from "./hashing.js";
import { sleep } from "./patience.js";

const SENDERS = 4;
const GROUP = 40;
const TRIES = 4;

const ended = new Set(["accepted", "duplicate", "rejected", "broken"]);

// An item without a file could not be read by the browser: it is listed as not sent, and stays so.
export function makeQueue(items, changed) {
  const hash = makeHasher();
  let run = null;
  let paused = false;
  let asking = false;
  let senders = 0;
  let nextToAsk = 0;
  let held = null; // why the server wants us to wait, in its own words
  let bytesSent = 0;
  const toSend = [];

  function settle(item, state, reason) {
    item.state = state;
    item.reason = reason ?? null;
    item.sent = item.size;
    changed();
  }

  // Hash a group, and admit by name what the server has already.
  async function askForGroups() {
    if (asking) return;
    asking = true;
    while (run !== null && !paused && nextToAsk < items.length) {
      const next = items.slice(nextToAsk, nextToAsk + GROUP);
      nextToAsk += next.length;
      const group = next.filter((item) => item.file);
      for (const item of group) {
        item.state = "checking";
        item.sha256 = await hash(item.file, item.size);
      }
      changed();
      toSend.push(...(await withoutKnown(group)));
      startSenders();
      while (toSend.length > 2 * GROUP && !paused) await sleep(100);
    }
    asking = false;
    changed();
  }

  async function withoutKnown(group) {
    const hashed = group.filter((item) => item.sha256);
    if (!hashed.length) return group;
    try {
      const { missing } = await known(run, hashed.map((item) => item.sha256));
      const lacking = new Set(missing);
      const present = hashed.filter((item) => !lacking.has(item.sha256));
      if (!present.length) return group;
      const { files } = await admit(run, present.map(({ name, sha256 }) => ({ name, sha256 })));
      const done = new Set();
      for (const receipt of files) {
        const item = present.find((one) => !done.has(one) && one.sha256 === receipt.sha256);
        if (!item) continue;
        done.add(item);
        settle(item, receipt.status, receipt.reason);
      }
      return group.filter((item) => !done.has(item));
    } catch {
      return group; // sending them all is slower, not wrong
    }
  }

  function startSenders() {
    while (senders < SENDERS && toSend.length && !paused) {
      senders++;
      sendAll().finally(() => {
        senders--;
        changed();
      });
    }
  }

  async function sendAll() {
    while (toSend.length && !paused) await sendOne(toSend.shift());
  }

  async function sendOne(item) {
    item.state = "sending";
    for (let attempt = 1; ; attempt++) {
      try {
        item.sent = 0;
        const receipt = await send(run, item.name, item.file, (loaded) => {
          const sent = Math.min(loaded, item.size);
          bytesSent += Math.max(0, sent - item.sent);
          item.sent = sent;
          changed();
        });
        held = null;
        settle(item, receipt.status, receipt.reason);
        return;
      } catch (error) {
        if (error instanceof Refusal && error.wait) {
          // Not a failed try: the server says when to come again, and is asked for as long as it says so.
          attempt = 0;
          held = error.message;
          item.state = "waiting";
          item.reason = error.message;
          item.sent = 0;
          changed();
          await sleep(1000 * error.wait);
          if (paused) {
            toSend.unshift(item);
            return;
          }
          item.state = "sending";
          item.reason = null;
          continue;
        }
        const passing = error instanceof Refusal && error.passing;
        if (!passing || attempt === TRIES) {
          settle(item, "broken", error.message);
          return;
        }
        await sleep(500 * 2 ** attempt);
      }
    }
  }

  return {
    begin(runId) {
      run = runId;
      askForGroups();
    },
    added() {
      if (run !== null) askForGroups();
    },
    pause(stop) {
      paused = stop;
      if (!paused) {
        startSenders();
        askForGroups();
      }
      changed();
    },
    retry() {
      for (const item of items) {
        if (item.state !== "broken" || !item.file) continue;
        item.state = "waiting";
        item.reason = null;
        item.sent = 0;
        toSend.push(item);
      }
      startSenders();
      changed();
    },
    get bytesSent() {
      return bytesSent;
    },
    get paused() {
      return paused;
    },
    get held() {
      return held;
    },
    get idle() {
      return !asking && senders === 0 && items.every((item) => ended.has(item.state));
    },
  };
}
