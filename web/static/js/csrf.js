// The token that the server wants with every change: from the page, and anew where a later sign-in has made another.

const inPage = (root) => root.querySelector('meta[name="csrf-token"]').content;

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
  if (answer?.ok) token = inPage(new DOMParser().parseFromString(await answer.text(), "text/html"));
}
