// The calls of an upload. Every refusal becomes an Error with the server's own sentence.

const token = document.querySelector('meta[name="csrf-token"]').content;

export class Refusal extends Error {
  constructor(status, detail, retryAfter = null) {
    super(detail);
    this.status = status;
    // Seconds after which a server that is full or busy wants to be asked again; 0 where it did not say.
    this.wait = status === 429 || status === 507 ? Number(retryAfter) || 0 : 0;
  }

  // A server that is busy or gone may take the file later; one that says no will say no again.
  get passing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

const GONE = "The server does not answer. Check the connection, and try again.";

async function read(answer) {
  const document = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refusal(answer.status, document.detail ?? GONE, answer.headers.get("Retry-After"));
  return document;
}

async function post(path, body) {
  const headers = { "X-CSRF-Token": token, "Content-Type": "application/json" };
  const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) }).catch(() => {
    throw new Refusal(0, GONE);
  });
  return read(answer);
}

// What became of all files of the run, those of earlier visits included: how many of each status.
export async function receiptCounts(run) {
  const answer = await fetch(`/api/v1/runs/${run}/files?limit=1`).catch(() => {
    throw new Refusal(0, GONE);
  });
  return (await read(answer)).counts;
}

export const openRun = (name, lane) => post("/api/v1/runs", { name, lane });
export const known = (run, sha256) => post(`/api/v1/runs/${run}/known`, { sha256 });
export const admit = (run, files) => post(`/api/v1/runs/${run}/admit`, { files });
export const submit = (run) => post(`/api/v1/runs/${run}/submit`, {});

// fetch reports no progress of what it sends, XMLHttpRequest does.
export function send(run, name, file, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `/api/v1/runs/${run}/files`);
    request.setRequestHeader("X-CSRF-Token", token);
    request.responseType = "json";
    request.upload.onprogress = (event) => progress(event.loaded);
    request.onerror = () => reject(new Refusal(0, GONE));
    request.onload = () => {
      if (request.status === 202 && request.response) resolve(request.response.files[0]);
      else reject(new Refusal(request.status, request.response?.detail ?? GONE, request.getResponseHeader("Retry-After")));
    };
    const form = new FormData();
    form.append("file", file, name);
    request.send(form);
  });
}
