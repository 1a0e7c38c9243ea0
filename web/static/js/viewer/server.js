// The viewer's calls. Every refusal becomes an Error with the server's own sentence.

import { checkPerson, csrfToken, withToken } from "../csrf.js";

const GONE = "The server does not answer. Check the connection and try again.";
const SIGNED_OUT = "You are signed out. Nothing was recorded. Sign in in another tab, then go on here.";

const call = (method, path, body, more = {}) => withToken(() => callOnce(method, path, body, more));

async function callOnce(method, path, body, more) {
  const headers = { "X-CSRF-Token": csrfToken() };
  if (body) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body), ...more }).catch(() => {
    throw new Error(GONE);
  });
  const document = await answer.json().catch(() => ({}));
  if (answer.ok) return document;
  throw Object.assign(new Error(answer.status === 401 ? SIGNED_OUT : (document.detail ?? GONE)), { code: document.code });
}

const scanPath = (scan) => `/api/v1/scans/${scan}`;

export const takeHold = (scan) => call("PUT", `${scanPath(scan)}/hold`);
// keepalive: it is sent even while the page is being left.
export const releaseHold = (scan) => call("DELETE", `${scanPath(scan)}/hold`, undefined, { keepalive: true });
export const decide = (scan, given) => call("POST", `${scanPath(scan)}/reviews`, given);
export const withdraw = (scan, review) => call("DELETE", `${scanPath(scan)}/reviews/${review}`);

// A page of the portal as a document; nothing in it runs or loads. It may never be shown: the audit trail is told of a
// view by the hold, which is taken of what is shown.
export async function page(href) {
  const answer = await fetch(href, { headers: { Accept: "text/html", "X-Ahead": "1" } }).catch(() => null);
  if (!answer?.ok) throw new Error("The server does not give this page. Check the connection and try again.");
  const fetched = new DOMParser().parseFromString(await answer.text(), "text/html");
  checkPerson(fetched);
  return fetched;
}
