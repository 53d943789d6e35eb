// Builds elements from values. Text goes in as text nodes only: nothing an answer says becomes markup.

/**
 * el("button", {class: "quiet", type: "button", onclick: send}, "Send"). Properties whose value is null, undefined or
 * false are left out; functions become listeners; true becomes an empty attribute.
 */
export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export function byId(id) {
  return document.getElementById(id);
}

export function show(parent, ...children) {
  parent.replaceChildren(...children.flat(Infinity).filter(Boolean));
}

/** A sentence whose `backticked` words are code. */
export function prose(text) {
  return text.split("`").map((part, at) => (at % 2 ? el("code", {}, part) : part));
}

/** Sets a text only when it differs, so that a live region does not repeat itself. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Says something to those who do not see it. One region for the page: hundreds would be a burden of their own. */
export function announce(text) {
  let region = byId("announcer");
  if (!region) {
    region = el("p", { id: "announcer", class: "hidden-label", role: "status" });
    document.body.append(region);
  }
  region.textContent = text;
}

/** Says to assistive software that a part is being redrawn, and when it is done. */
export function busy(node, being) {
  node.setAttribute("aria-busy", String(being));
}

export function notice(kind, ...children) {
  return el("p", { class: "notice", "data-kind": kind }, ...children);
}
