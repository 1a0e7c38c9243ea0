// SHA-256 of files, where the browser offers it: only on https and on this very machine. Elsewhere files are just sent.

const LARGEST = 256 * 1024 * 1024; // a larger file is not read whole into memory only to skip sending it

export function makeHasher() {
  if (!globalThis.isSecureContext || !globalThis.crypto?.subtle) return async () => null;
  const worker = new Worker(new URL("hash-worker.js", import.meta.url), { type: "module" });
  const waiting = new Map();
  let nextId = 0;
  let broken = false;
  // It did not start, as in a browser without module workers: files are sent without asking.
  worker.onerror = () => {
    broken = true;
    for (const end of waiting.values()) end(null);
    waiting.clear();
  };
  worker.onmessage = ({ data }) => {
    waiting.get(data.id)(data.sha256);
    waiting.delete(data.id);
  };
  return (file, size) => {
    if (broken || size > LARGEST) return Promise.resolve(null);
    return new Promise((resolve) => {
      const id = nextId++;
      waiting.set(id, resolve);
      worker.postMessage({ id, file });
    });
  };
}
