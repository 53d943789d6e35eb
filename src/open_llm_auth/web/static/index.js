// The overview: is the gateway well, what is usable, and how a client is pointed at it.

import { advice, getJson } from "./api.js";
import { copyButton } from "./copy.js";
import { busy, byId, el, notice, say, show } from "./dom.js";
import { onChange, token } from "./session.js";
import { snippets, STAND_IN } from "./snippets.js";
import { tabs } from "./tabs.js";
import { tokenForm } from "./token-form.js";

const HEALTH_EVERY_MS = 15_000;
const BASE_URL = `${window.location.origin}/v1`;
const WORDS = {
  ready: ["good", "Ready for calls"],
  degraded: ["warn", "Taking calls, but something is wrong"],
};

let models = [];
let chosen = "";
let tab = "env";
let round = 0;

// --- health -----------------------------------------------------------------------------------------------------

function showHealth(state, text) {
  byId("health").dataset.state = state;
  say(byId("health-text"), text);
}

async function checkHealth() {
  try {
    const { body } = await getJson("/health");
    const version = typeof body.version === "string" ? ` · version ${body.version}` : "";
    showHealth("good", `Running${version}`);
  } catch (error) {
    showHealth("bad", error.message);
  }
}

// --- readiness --------------------------------------------------------------------------------------------------

async function loadReadiness(mine) {
  try {
    const { status, body } = await getJson("/health/ready", { alsoFine: [503] });
    if (mine !== round) return false;
    const { status: word = "unknown", ...details } = body;
    const known = Object.keys(details).length > 0;
    show(byId("ready"), readiness(status, String(word), details, known));
    return known;
  } catch (error) {
    if (mine === round) show(byId("ready"), trouble(error));
    return false;
  }
}

function readiness(status, word, details, known) {
  const [state, text] = (status === 200 && WORDS[word.toLowerCase()]) || ["bad", `Not ready: ${word}`];
  const head = el(
    "p",
    { class: "health", "data-state": state },
    el("span", { class: "dot", "aria-hidden": "true" }),
    text,
  );
  if (!known) return [head, el("p", { class: "quiet" }, "A token with the read scope shows the details.")];
  const { config = {}, counts = {}, ...rest } = details;
  const { fault, warnings, etag, ...more } = config;
  const shown = { ...rest, ...counts, ...more, ...(etag && { configVersion: String(etag).slice(0, 8) }) };
  return [head, fault && faultNotice(fault), warningNotices(warnings), facts(shown)];
}

/** Why the newest config is not in force, and since when. */
function faultNotice(fault) {
  const since = typeof fault.since === "number" ? ` Since ${new Date(fault.since * 1000).toLocaleString()}.` : "";
  return notice("bad", `The config file has a fault, and the last good config stays in force. ${fault.message}${since}`);
}

function warningNotices(warnings) {
  return Array.isArray(warnings) ? warnings.map((warning) => notice("info", String(warning))) : [];
}

/** Whatever the gateway tells of itself, as a list of terms; unknown fields are shown, not dropped. */
function facts(value) {
  const rows = Object.entries(value).map(([name, fact]) => [
    el("dt", {}, words(name)),
    el("dd", {}, fact !== null && typeof fact === "object" ? nested(fact) : plain(fact)),
  ]);
  return el("dl", { class: "facts" }, rows);
}

function nested(fact) {
  if (!Array.isArray(fact)) return nestedFacts(Object.entries(fact));
  if (!fact.length) return "none";
  if (fact.every((item) => item === null || typeof item !== "object")) return fact.map(plain).join(", ");
  return el("ul", {}, fact.map((item) => el("li", {}, item !== null && typeof item === "object" ? nested(item) : plain(item))));
}

/** A few plain facts fit on a line: "200: 57, 404: 2". */
function nestedFacts(entries) {
  if (!entries.length) return "none";
  if (entries.some(([, value]) => value !== null && typeof value === "object")) return facts(Object.fromEntries(entries));
  return entries.map(([name, value]) => `${name}: ${plain(value)}`).join(", ");
}

function plain(fact) {
  if (fact === null || fact === "") return "none";
  if (fact === true) return "yes";
  return fact === false ? "no" : String(fact);
}

function words(name) {
  const spaced = name.replaceAll("_", " ").replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase();
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}

function trouble(error) {
  const hint = advice(error);
  return [notice("bad", error.message), hint && el("p", { class: "quiet" }, hint)];
}

// --- connecting -------------------------------------------------------------------------------------------------

function drawSnippets() {
  const items = snippets(BASE_URL, chosen || models[0] || STAND_IN).map(({ id, label, code, note }) => ({
    id,
    label,
    panel: [
      el(
        "div",
        { class: "code" },
        el("pre", { tabindex: "0", role: "region", "aria-label": `${label} lines` }, el("code", {}, code)),
        copyButton(`the ${label} lines`, () => code),
      ),
      el("p", { class: "quiet" }, note),
    ],
  }));
  show(byId("snippets"), tabs("Client", items, tab, (id) => (tab = id)));
}

// --- models -----------------------------------------------------------------------------------------------------

async function loadModels(mine, allowed) {
  const parent = byId("models");
  byId("models-tools").hidden = true;
  models = [];
  if (!allowed) {
    say(byId("models-count"), "");
    show(parent, notice("info", "Paste a token that has the read scope to see the models it may use."));
    return;
  }
  try {
    const { body } = await getJson("/v1/models");
    if (mine !== round) return;
    models = (Array.isArray(body.data) ? body.data : []).map((model) => String(model.id));
    byId("models-tools").hidden = models.length === 0;
    drawModels();
    drawSnippets();
  } catch (error) {
    if (mine !== round) return;
    say(byId("models-count"), "");
    show(parent, trouble(error));
  }
}

function drawModels() {
  const wanted = byId("models-filter").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const hits = models.filter((id) => wanted.every((word) => id.toLowerCase().includes(word)));
  say(byId("models-count"), countOf(hits.length, models.length));
  if (!models.length) {
    show(
      byId("models"),
      notice("info", "No model is usable yet. Add a provider key with one command, no restart needed:"),
      el("pre", { tabindex: "0", role: "region", "aria-label": "Command" }, el("code", {}, "open-llm-auth auth add-api-key openai")),
    );
    return;
  }
  if (!hits.length) {
    show(byId("models"), el("p", { class: "quiet" }, "No model matches the filter."));
    return;
  }
  show(byId("models"), [...byProvider(hits)].map(([provider, ids]) => providerBlock(provider, ids)));
}

function countOf(hits, all) {
  if (!all) return "none";
  const noun = all === 1 ? "model" : "models";
  return hits === all ? `${all} ${noun}` : `${hits} of ${all} ${noun}`;
}

function byProvider(ids) {
  const groups = new Map();
  for (const id of ids) {
    const provider = id.includes("/") ? id.slice(0, id.indexOf("/")) : "other";
    groups.set(provider, [...(groups.get(provider) ?? []), id]);
  }
  return groups;
}

function providerBlock(provider, ids) {
  return el(
    "section",
    { class: "provider", "aria-label": provider },
    el("h3", {}, provider, " ", el("span", { class: "quiet" }, String(ids.length))),
    el("ul", { class: "models" }, ids.map(modelRow)),
  );
}

function modelRow(id) {
  const use = el(
    "button",
    { type: "button", class: "small", "aria-label": `Use ${id} in the examples`, onclick: () => choose(id) },
    "Use in examples",
  );
  return el("li", {}, el("code", {}, id), el("span", { class: "buttons" }, copyButton(id, () => id), use));
}

function choose(id) {
  chosen = id;
  drawSnippets();
  byId("connect-title").scrollIntoView({ block: "start" });
  document.querySelector("#snippets [aria-selected=true]").focus({ preventScroll: true });
}

// --- together ---------------------------------------------------------------------------------------------------

/** `round` makes a slow answer to an older token harmless. */
async function refresh() {
  round += 1;
  const mine = round;
  const parts = [byId("ready"), byId("models")];
  for (const part of parts) busy(part, true);
  const detailed = await loadReadiness(mine);
  // Without a token, only a gateway that shows its details to everyone is worth asking for models.
  if (mine === round) await loadModels(mine, Boolean(token()) || detailed);
  if (mine === round) for (const part of parts) busy(part, false);
}

function start() {
  say(byId("base-url"), BASE_URL);
  byId("base-copy").append(copyButton("the base URL", () => BASE_URL));
  tokenForm(byId("token"));
  drawSnippets();
  byId("models-filter").addEventListener("input", drawModels);
  onChange(refresh);
  checkHealth();
  refresh();
  window.setInterval(() => document.hidden || checkHealth(), HEALTH_EVERY_MS);
  document.addEventListener("visibilitychange", () => document.hidden || checkHealth());
}

start();
