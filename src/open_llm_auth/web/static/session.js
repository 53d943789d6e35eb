// The caller's token: kept in this tab's sessionStorage, sent as a bearer header to this origin, and nowhere else.

const KEY = "open-llm-auth.token";
const listeners = new Set();
// Some browsers forbid storage altogether; then the token lives as long as the page.
let memory = "";

function storage() {
  try {
    return window.sessionStorage;
  } catch {
    return null;
  }
}

export function token() {
  return storage()?.getItem(KEY) ?? memory;
}

export function keep(text) {
  memory = text;
  if (text) storage()?.setItem(KEY, text);
  else storage()?.removeItem(KEY);
  for (const listener of listeners) listener(text);
}

export function onChange(listener) {
  listeners.add(listener);
}

/** Why this can't be a token, in words, or "" when it can. A header value carries visible ASCII only. */
export function fault(text) {
  if (!text) return "Paste a token first.";
  if (!/^[\x21-\x7e]+$/.test(text)) return "A token has no spaces, line breaks or accented letters: copy it again.";
  return "";
}
