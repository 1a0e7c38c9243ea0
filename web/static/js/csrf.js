// The token that the server wants with every change: from the page, and anew where a later sign-in has made another.
// It is not taken from a page of somebody else: who signed in since must not act by what this page shows.

const SOMEBODY_ELSE = "Somebody else is signed in now. Nothing was changed. Reload the page to go on as them.";

const inPage = (root) => root.querySelector('meta[name="csrf-token"]').content;
const personIn = (root) => root.querySelector('meta[name="person"]').content;

let token = inPage(document);
let asked = null;

export const csrfToken = () => token;

// Calls again, once, where the server no longer takes the token. `call` throws an error with the `code` of the problem.
export async function withToken(call) {
  const used = token;
  try {
    return await call();
  } catch (error) {
    if (error.code !== "csrf") throw error;
    // Several calls may fail at once: one of them asks, and who comes later has it already.
    if (token === used) await (asked ??= renew().finally(() => (asked = null)));
    return call();
  }
}

async function renew() {
  const answer = await fetch("/account", { headers: { Accept: "text/html" } }).catch(() => null);
  if (!answer?.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  checkPerson(page);
  token = inPage(page);
}

// Throws where a page that was fetched is not of the person whose page this is.
export function checkPerson(page) {
  if (personIn(page) !== personIn(document)) throw new Error(SOMEBODY_ELSE);
}
