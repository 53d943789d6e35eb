// Tabs that behave as the ARIA practices describe: arrows move, Home and End jump, one tab stop for the row.

import { el } from "./dom.js";

/** `items` is [{id, label, panel}]. Returns the element; `onSelect(id)` is told of every choice. */
export function tabs(label, items, selected, onSelect) {
  const buttons = items.map((item) =>
    el("button", { type: "button", role: "tab", id: `tab-${item.id}`, "aria-controls": `panel-${item.id}` }, item.label),
  );
  const panels = items.map((item) =>
    el(
      "div",
      { role: "tabpanel", id: `panel-${item.id}`, "aria-labelledby": `tab-${item.id}`, tabindex: "0" },
      item.panel,
    ),
  );

  function select(index, focus) {
    buttons.forEach((button, at) => {
      button.setAttribute("aria-selected", String(at === index));
      button.tabIndex = at === index ? 0 : -1;
      panels[at].hidden = at !== index;
    });
    if (focus) buttons[index].focus();
    onSelect(items[index].id);
  }

  const moves = {
    ArrowRight: (at) => (at + 1) % items.length,
    ArrowLeft: (at) => (at + items.length - 1) % items.length,
    Home: () => 0,
    End: () => items.length - 1,
  };
  buttons.forEach((button, at) => {
    button.addEventListener("click", () => select(at, false));
    button.addEventListener("keydown", (event) => {
      const move = moves[event.key];
      if (!move) return;
      event.preventDefault();
      select(move(at), true);
    });
  });
  select(Math.max(0, items.findIndex((item) => item.id === selected)), false);
  return el("div", { class: "tabs" }, el("div", { role: "tablist", "aria-label": label }, buttons), panels);
}
