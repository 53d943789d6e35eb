// The form under a route that sends a real call with the kept token and shows the answer as it arrives.

import { credentials, parse } from "./api.js";
import { copyButton } from "./copy.js";
import { el, say, show } from "./dom.js";
import { address, exampleOf } from "./openapi.js";
import { shellQuoted } from "./snippets.js";

// What a person can still read, and a tab can still hold.
const LONGEST_SHOWN = 200_000;
const PLACES = new Set(["path", "query", "header"]);
const SHOWN_HEADERS = /^(content-type|retry-after|x-request-id|x-gateway-.*|x-ratelimit-.*|location|etag|allow)$/;

export function tryIt(spec, operation) {
  const inputs = operation.parameters
    .filter((parameter) => PLACES.has(parameter.in))
    .map((parameter) => parameterInput(operation, parameter));
  const body = operation.body ? bodyInput(spec, operation) : null;
  const send = el("button", { type: "submit", class: "main" }, "Send");
  const stop = el("button", { type: "button", disabled: true }, "Stop");
  const status = el("p", { class: "result-status", role: "status" });
  const head = el("dl", { class: "facts" });
  const text = el("code");
  const answer = el("pre", { tabindex: "0", role: "region", "aria-label": "Answer", hidden: true }, text);
  let sending = null;

  function request() {
    const values = (place) =>
      Object.fromEntries(inputs.filter((one) => one.place === place).map((one) => [one.name, one.input.value.trim()]));
    return {
      url: address(operation.path, values("path"), values("query")),
      method: operation.method,
      headers: {
        ...(body && { "content-type": operation.body.type || "application/json" }),
        ...Object.fromEntries(Object.entries(values("header")).filter(([, text]) => text)),
      },
      body: body ? body.input.value : undefined,
    };
  }

  function curl() {
    const { url, method, headers, body: sent } = request();
    return [
      `curl -X ${method} ${shellQuoted(window.location.origin + url)}`,
      operation.scope !== "none" && '-H "Authorization: Bearer $OPENAI_API_KEY"',
      ...Object.entries(headers).map(([name, value]) => `-H ${shellQuoted(`${name}: ${value}`)}`),
      sent !== undefined && `-d ${shellQuoted(sent)}`,
    ]
      .filter(Boolean)
      .join(" \\\n  ");
  }

  /** The first thing that is wrong with the form, shown beside its field; null when it may be sent. */
  function fault() {
    for (const one of [...inputs, body].filter(Boolean)) {
      const why = one.fault();
      say(one.wrong, why);
      one.input.setAttribute("aria-invalid", String(Boolean(why)));
      if (why) return one;
    }
    return null;
  }

  async function submit(event) {
    event.preventDefault();
    const wrong = fault();
    if (wrong) {
      wrong.input.focus();
      return;
    }
    sending = new AbortController();
    send.disabled = true;
    stop.disabled = false;
    show(head);
    text.textContent = "";
    answer.hidden = true;
    say(status, "Sending…");
    status.dataset.class = "";
    const began = performance.now();
    try {
      const { url, ...options } = request();
      const response = await fetch(url, {
        ...options,
        headers: { ...options.headers, ...credentials() },
        credentials: "omit",
        cache: "no-store",
        signal: sending.signal,
      });
      const line = `HTTP ${response.status} ${response.statusText}`.trim();
      status.dataset.class = String(response.status)[0];
      say(status, `${line}, reading…`);
      showHeaders(head, response.headers);
      await read(response, text, answer);
      say(status, `${line}, ${Math.round(performance.now() - began)} ms`);
    } catch (error) {
      say(status, error.name === "AbortError" ? "Stopped." : "No answer. Is the gateway still running?");
    } finally {
      sending = null;
      send.disabled = false;
      stop.disabled = true;
    }
  }

  stop.addEventListener("click", () => sending?.abort());
  return el(
    "form",
    { class: "try-form", novalidate: true, onsubmit: submit },
    inputs.map((one) => one.element),
    body?.element,
    el("div", { class: "row" }, send, stop, el("span", { class: "row-label quiet" }, "as curl:"), copyButton(`${operation.method} ${operation.path} as curl`, curl)),
    status,
    head,
    answer,
  );
}

function labelled(id, label, input, hint) {
  const wrong = el("p", { id: `${id}-fault`, class: "field-fault", role: "alert" });
  input.setAttribute("aria-describedby", `${id}-fault`);
  return { wrong, element: el("div", { class: "field" }, el("label", { for: id }, label, hint && el("span", { class: "quiet" }, ` ${hint}`)), input, wrong) };
}

function parameterInput(operation, parameter) {
  const id = `${operation.id}-${parameter.in}-${parameter.name}`;
  const input = el("input", { id, type: "text", autocomplete: "off", spellcheck: "false" });
  input.value = String(parameter.example ?? parameter.schema?.example ?? "");
  input.placeholder = String(parameter.schema?.default ?? "");
  const hint = parameter.required ? "required" : "optional";
  return {
    ...labelled(id, parameter.name, input, hint),
    input,
    name: parameter.name,
    place: parameter.in,
    fault: () => (parameter.required && !input.value.trim() ? `Fill in ${parameter.name}.` : ""),
  };
}

function bodyInput(spec, operation) {
  const id = `${operation.id}-body`;
  const isJson = (operation.body.type || "application/json").includes("json");
  const example = exampleOf(spec, operation.body);
  const input = el("textarea", { id, rows: "9", spellcheck: "false", autocapitalize: "off", autocomplete: "off" });
  input.value = example === undefined ? "" : typeof example === "string" ? example : JSON.stringify(example, null, 2);
  return {
    ...labelled(id, "Body", input, operation.body.type),
    input,
    fault: () => (isJson && input.value.trim() && parse(input.value) === undefined ? "This is not valid JSON." : ""),
  };
}

function showHeaders(parent, headers) {
  const shown = [...headers].filter(([name]) => SHOWN_HEADERS.test(name));
  show(parent, shown.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

/** Shows the body while it arrives; JSON is set out in lines once it is whole. */
async function read(response, text, answer) {
  const type = response.headers.get("content-type") ?? "";
  const decoder = new TextDecoder();
  let all = "";
  let cut = false;
  const reader = response.body?.getReader();
  for (;;) {
    const { done, value } = reader ? await reader.read() : { done: true };
    all += done ? decoder.decode() : decoder.decode(value, { stream: true });
    answer.hidden = all === "";
    if (all.length > LONGEST_SHOWN) {
      cut = true;
      await reader.cancel();
    }
    if (done || cut) break;
    text.textContent = all;
  }
  const value = type.includes("json") && !cut ? parse(all) : undefined;
  text.textContent = value === undefined ? all.slice(0, LONGEST_SHOWN) : JSON.stringify(value, null, 2);
  if (cut) text.append("\n… the rest is not shown");
}
