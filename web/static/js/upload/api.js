// The calls of an upload. Every refusal becomes an Error with the server's own sentence.

import { csrfToken, withToken } from "../csrf.js";

const AWAY = new Set([0, 502, 503, 504]);
const GONE = "The server does not answer. Check the connection, and try again.";
export const SIGNED_OUT = "You are signed out. Sign in in another tab, then go on here.";

export class Refusal extends Error {
  constructor(status, problem = {}, retryAfter = null) {
    super(status === 401 ? SIGNED_OUT : (problem?.detail ?? GONE));
    this.status = status;
    this.code = problem?.code;
    // Whether the server itself said why.
    this.told = Boolean(problem?.detail);
    // Seconds after which a server that is full or busy wants to be asked again; 0 where it did not say.
    this.wait = status === 429 || status === 507 ? Number(retryAfter) || 0 : 0;
  }

  // Neither the server nor what stands before it can take anything now. It says nothing of this one file.
  get away() {
    return AWAY.has(this.status);
  }

  get signedOut() {
    return this.status === 401;
  }

  // A server that is busy or gone may take the file later; one that says no will say no again.
  get passing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

async function call(path, options = {}) {
  const answer = await fetch(path, options).catch(() => {
    throw new Refusal(0);
  });
  const document = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refusal(answer.status, document, answer.headers.get("Retry-After"));
  return document;
}

const post = (path, body) =>
  withToken(() => {
    const headers = { "X-CSRF-Token": csrfToken(), "Content-Type": "application/json" };
    return call(path, { method: "POST", headers, body: JSON.stringify(body) });
  });

// What became of all files of the run, those of earlier visits included: how many of each status.
export const receiptCounts = async (run) => (await call(`/api/v1/runs/${run}/files?limit=1`)).counts;

export const openRun = (name, lane) => post("/api/v1/runs", { name, lane });
export const known = (run, sha256) => post(`/api/v1/runs/${run}/known`, { sha256 });
export const admit = (run, files) => post(`/api/v1/runs/${run}/admit`, { files });
export const submit = (run) => post(`/api/v1/runs/${run}/submit`, {});

export const send = (run, name, file, progress) => withToken(() => sendOnce(run, name, file, progress));

// fetch reports no progress of what it sends, XMLHttpRequest does.
function sendOnce(run, name, file, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `/api/v1/runs/${run}/files`);
    request.setRequestHeader("X-CSRF-Token", csrfToken());
    request.responseType = "json";
    request.upload.onprogress = (event) => progress(event.loaded);
    request.onerror = () => reject(new Refusal(0));
    request.onload = () => {
      if (request.status === 202 && request.response) resolve(request.response.files[0]);
      else reject(new Refusal(request.status, request.response, request.getResponseHeader("Retry-After")));
    };
    const form = new FormData();
    form.append("file", file, name);
    request.send(form);
  });
}
