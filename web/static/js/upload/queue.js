// The upload itself: files are hashed, asked for in groups, and what the server lacks is sent, four at a time.

import { Refusal, admit, known, send } from "./api.js";
import { makeHasher } from "./hashing.js";
import { LONGEST_S, sleep, sleepWhileAway } from "./patience.js";

const SENDERS = 4;
const GROUP = 40;
const TRIES = 5;
const AWAY = "the server does not answer; this page goes on by itself";
const UNREADABLE = "This file cannot be read any more: it was changed, moved or deleted. Choose it again.";
const BROKEN_OFF = "The connection broke off each time while this file was sent.";

const ended = new Set(["accepted", "duplicate", "rejected", "broken"]);

// An item without a file could not be read by the browser: it is listed as not sent, and stays so.
export function makeQueue(items, changed) {
  const hash = makeHasher();
  let run = null;
  let paused = false;
  let asking = false;
  let senders = 0;
  let nextToAsk = 0;
  let held = null; // why nothing can be sent now; where the server said it, in its own words
  let signedOut = false;
  let bytesSent = 0;
  const toSend = [];

  function settle(item, state, reason) {
    item.state = state;
    item.reason = reason ?? null;
    item.sent = state === "broken" ? 0 : item.size;
    changed();
  }

  // Puts a file back that is not to be sent now.
  function putBack(item) {
    item.state = "waiting";
    item.reason = null;
    item.sent = 0;
    toSend.unshift(item);
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
    let failed = 0;
    for (let pause = 1; ; pause = Math.min(2 * pause, LONGEST_S)) {
      item.state = "sending";
      item.reason = null;
      item.sent = 0;
      try {
        const receipt = await send(run, item.name, item.file, (loaded) => {
          const sent = Math.min(loaded, item.size);
          bytesSent += Math.max(0, sent - item.sent);
          item.sent = sent;
          changed();
        });
        held = null;
        return settle(item, receipt.status, receipt.reason);
      } catch (caught) {
        const error = await inTheWay(caught, item);
        if (error.signedOut) signedOut = paused = true;
        else if (error.wait || error.away) {
          // Not a failed try: it lies at the server, which is asked for as long as that lasts.
          held = error.told ? error.message : AWAY;
          item.state = "waiting";
          item.reason = held;
          item.sent = 0;
          changed();
          await sleepWhileAway(1000 * (error.wait || pause));
        } else if (!error.passing || ++failed === TRIES) return settle(item, "broken", error.message);
        else await sleep(1000 * pause);
        if (paused) return putBack(item);
      }
    }
  }

  // What really stands in the way where a connection broke: the file is gone from the disk, the server is away, or it is
  // there and ends the connection before it has read the file, as where the sign-in has ended.
  async function inTheWay(error, item) {
    if (error.status !== 0) return error;
    if (!(await readable(item.file))) return new Refusal(400, { detail: UNREADABLE });
    return known(run, []).then(
      () => new Refusal(500, { detail: BROKEN_OFF }),
      (other) => other,
    );
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
        signedOut = false;
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
    get signedOut() {
      return signedOut;
    },
    get held() {
      return held;
    },
    get idle() {
      return !asking && senders === 0 && items.every((item) => ended.has(item.state));
    },
  };
}

const readable = (file) =>
  file
    .slice(0, 1)
    .arrayBuffer()
    .then(
      () => true,
      () => false,
    );
