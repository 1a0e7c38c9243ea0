// Hashes files away from the page's own thread: { id, file } in, { id, sha256 } out; sha256 is null where it failed.

self.onmessage = async ({ data: { id, file } }) => {
  try {
    const digest = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
    const bytes = [...new Uint8Array(digest)];
    self.postMessage({ id, sha256: bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("") });
  } catch {
    self.postMessage({ id, sha256: null });
  }
};
