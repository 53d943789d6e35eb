// The form that takes the token, the same on every page.

import { byId, el, say, show } from "./dom.js";
import { fault, keep, token } from "./session.js";

export function tokenForm(parent) {
  const input = el("input", {
    id: "token-input",
    type: "password",
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    "aria-describedby": "token-note token-fault",
  });
  const wrong = el("p", { id: "token-fault", class: "field-fault", role: "alert" });
  const state = el("p", { class: "token-state", role: "status" });
  const forget = el("button", { type: "button", class: "plain", onclick: () => use("") }, "Forget it");

  function use(text) {
    keep(text);
    input.value = "";
    draw();
    if (!text) input.focus();
  }

  function draw() {
    const kept = token();
    say(state, kept ? "A token is in use in this tab." : "");
    state.hidden = !kept;
    forget.hidden = !kept;
    byId("token-save").textContent = kept ? "Replace" : "Use it";
  }

  function submit(event) {
    event.preventDefault();
    const text = input.value.trim();
    const why = fault(text);
    say(wrong, why);
    input.setAttribute("aria-invalid", String(Boolean(why)));
    if (why) input.focus();
    else use(text);
  }

  show(
    parent,
    el(
      "form",
      { class: "token-form", onsubmit: submit },
      el("label", { for: "token-input" }, "Gateway token"),
      el(
        "div",
        { class: "row" },
        input,
        el("button", { id: "token-save", type: "submit", class: "main" }, "Use it"),
        forget,
      ),
      wrong,
      state,
      el(
        "p",
        { id: "token-note", class: "quiet" },
        "Kept in this tab only and forgotten when you close it. ",
        "The first start showed an admin token; make others with ",
        el("code", { class: "command" }, "open-llm-auth tokens create"),
        ".",
      ),
    ),
  );
  draw();
}
