// A button that copies a text and says so, also to those who do not see it.

import { announce, el } from "./dom.js";

const SAID_MS = 1600;

/** `text` is a function, so that what is copied is what stands there now. `name` completes "Copy …". */
export function copyButton(name, text) {
  const word = el("span", {}, "Copy");
  const button = el("button", { type: "button", class: "small", "aria-label": `Copy ${name}` }, word);
  let timer = 0;
  button.addEventListener("click", async () => {
    const done = await copy(text());
    word.textContent = done ? "Copied" : "Press Ctrl+C";
    announce(done ? `Copied ${name}` : "Could not copy: select the text and press Ctrl+C");
    window.clearTimeout(timer);
    timer = window.setTimeout(() => {
      word.textContent = "Copy";
      announce("");
    }, SAID_MS);
  });
  return el("span", { class: "copy" }, button);
}

async function copy(text) {
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // not permitted here: try the older way
    }
  }
  return copyBySelection(text);
}

// Plain http on a name that is not loopback has no navigator.clipboard.
function copyBySelection(text) {
  const area = el("textarea", { class: "off-screen", readonly: true, "aria-hidden": "true", tabindex: "-1" });
  const before = document.activeElement;
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  before?.focus();
  return done;
}
