// Calls to this gateway, and its errors in words.

import { token } from "./session.js";

export class CallFailed extends Error {
  constructor(message, { status = 0, code = "", details = null } = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.details = details;
  }
}

/** The headers that prove who calls; none without a token. */
export function credentials() {
  const text = token();
  return text ? { authorization: `Bearer ${text}` } : {};
}

/** GET `path` as JSON. An answer whose status is in `alsoFine` is not an error. */
export async function getJson(path, { alsoFine = [], signal } = {}) {
  let response;
  try {
    response = await fetch(path, {
      headers: { accept: "application/json", ...credentials() },
      credentials: "omit",
      cache: "no-store",
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new CallFailed("The gateway does not answer. Is it still running?");
  }
  const text = await response.text();
  const body = parse(text);
  if (!response.ok && !alsoFine.includes(response.status)) throw failure(response.status, body);
  if (body === undefined) throw new CallFailed(`${path} did not answer with JSON.`, { status: response.status });
  return { status: response.status, body };
}

export function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function failure(status, body) {
  const error = body && typeof body === "object" ? body.error : null;
  const message = error && typeof error.message === "string" ? error.message : `The gateway answered HTTP ${status}.`;
  return new CallFailed(message, { status, code: error?.code ?? "", details: error?.details ?? null });
}

/** What a person can do about it, or "". */
export function advice(error) {
  if (error.status === 401) {
    return token()
      ? "This gateway does not know the token. Check it, or make a new one with: open-llm-auth tokens create NAME --scope read --scope write"
      : "Paste a token above.";
  }
  if (error.code === "insufficient_scope") return "Make a token that has this scope, or ask whoever runs the gateway.";
  if (error.status === 503) return "Look at the gateway's log, or run: open-llm-auth doctor";
  return "";
}
