// The API reference: draws /openapi.json as routes with their scope, fields, answers, an example and a form to try it.

import { advice, getJson } from "./api.js";
import { busy, byId, el, notice, prose, say, show } from "./dom.js";
import { exampleOf, fields, groups, limits, typeName } from "./openapi.js";
import { tokenForm } from "./token-form.js";
import { tryIt } from "./try-it.js";

const WIDE = "(min-width: 60rem)";

let rows = [];

async function start() {
  tokenForm(byId("token"));
  byId("toc-filter").addEventListener("input", filter);
  const wide = window.matchMedia(WIDE);
  const fit = () => (byId("toc-box").open = wide.matches);
  wide.addEventListener("change", fit);
  fit();
  try {
    const { body } = await getJson("/openapi.json");
    draw(body);
  } catch (error) {
    show(byId("routes"), notice("bad", error.message), el("p", { class: "quiet" }, advice(error)));
  }
  busy(byId("routes"), false);
}

function draw(spec) {
  const parts = groups(spec);
  if (spec.info?.version) {
    byId("about").append(` Version ${spec.info.version}.`);
  }
  if (spec.info?.description) byId("about").after(el("p", { class: "prose" }, prose(spec.info.description)));
  show(byId("toc"), parts.map(tocPart));
  show(byId("routes"), parts.map((part) => group(spec, part)));
  rows = [...byId("toc").querySelectorAll("li")];
  filter();
  // The target of a link like /docs#get-v1-models exists only now.
  if (window.location.hash) document.getElementById(decodeURIComponent(window.location.hash.slice(1)))?.scrollIntoView();
}

// --- the list of routes -----------------------------------------------------------------------------------------

function tocPart({ tag, operations }) {
  return el(
    "section",
    {},
    el("h2", {}, tag),
    el(
      "ul",
      {},
      operations.map((operation) =>
        el("li", {}, el("a", { href: `#${operation.id}` }, method(operation.method), el("code", {}, breakable(operation.path)))),
      ),
    ),
  );
}

function filter() {
  const wanted = byId("toc-filter").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  let hits = 0;
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !wanted.every((word) => text.includes(word));
    hits += row.hidden ? 0 : 1;
  }
  for (const part of byId("toc").children) part.hidden = ![...part.querySelectorAll("li")].some((row) => !row.hidden);
  say(byId("toc-count"), wanted.length ? `${hits} of ${rows.length} routes` : `${rows.length} routes`);
}

/** A long path may break after each slash. */
function breakable(path) {
  return path.split(/(?<=\/)/).flatMap((part, at) => (at ? [el("wbr"), part] : [part]));
}

function method(name) {
  return el("span", { class: "method", "data-method": name }, name);
}

// --- one route --------------------------------------------------------------------------------------------------

function group(spec, { tag, about, operations }) {
  const title = `tag-${tag.replace(/[^A-Za-z0-9]+/g, "-")}`;
  return el(
    "section",
    { class: "group", "aria-labelledby": title },
    el("h2", { id: title }, tag),
    about && el("p", { class: "quiet" }, prose(about)),
    operations.map((operation) => route(spec, operation)),
  );
}

function route(spec, operation) {
  return el(
    "article",
    { class: "card route", id: operation.id, "aria-labelledby": `${operation.id}-title`, tabindex: "-1" },
    el(
      "header",
      {},
      el("h3", { id: `${operation.id}-title` }, method(operation.method), " ", el("code", {}, breakable(operation.path))),
      scopeOf(operation.scope),
    ),
    operation.deprecated && notice("info", "Deprecated."),
    operation.summary && el("p", {}, el("strong", {}, operation.summary)),
    operation.description && el("p", { class: "prose" }, prose(operation.description)),
    operation.parameters.length > 0 && part("Parameters", parameterList(spec, operation.parameters)),
    operation.body && part("Request body", bodyOf(spec, operation.body)),
    part("Responses", answerList(spec, operation.answers)),
    el("details", { class: "try" }, el("summary", {}, "Try it"), tryIt(spec, operation)),
  );
}

function scopeOf(scope) {
  const text = scope === "none" ? "no token needed" : `scope: ${scope}`;
  return el("span", { class: "scope", "data-open": String(scope === "none") }, text);
}

function part(title, ...content) {
  return el("section", { class: "part" }, el("h4", {}, title), content);
}

function parameterList(spec, parameters) {
  return el("dl", { class: "fields" }, parameters.map((parameter) => field(
    {
      name: parameter.name,
      type: typeName(spec, parameter.schema ?? {}),
      required: Boolean(parameter.required),
      description: parameter.description ?? "",
      limits: limits(spec, parameter.schema ?? {}),
      fields: [],
    },
    `in ${parameter.in}`,
  )));
}

function field(row, place = "") {
  return [
    el(
      "dt",
      {},
      el("code", {}, row.name),
      " ",
      el("span", { class: "type" }, [row.type, place].filter(Boolean).join(", ")),
      row.required && el("span", { class: "required" }, " required"),
    ),
    el(
      "dd",
      {},
      row.description && el("p", {}, prose(row.description)),
      row.limits.length > 0 && el("p", { class: "quiet" }, row.limits.join(" · ")),
      row.fields.length > 0 &&
        el(
          "details",
          {},
          el("summary", {}, `Fields of ${row.name}`),
          el("dl", { class: "fields" }, row.fields.map((inner) => field(inner))),
        ),
    ),
  ];
}

function bodyOf(spec, body) {
  const rows = fields(spec, body.schema ?? {});
  return [
    el("p", { class: "quiet" }, [body.type, body.required ? "required" : "optional"].join(", ")),
    body.description && el("p", {}, prose(body.description)),
    rows.length > 0 && el("dl", { class: "fields" }, rows.map((row) => field(row))),
    json("Example body", exampleOf(spec, body)),
  ];
}

function answerList(spec, answers) {
  return el("ul", { class: "answers" }, answers.map((answer) => {
    const rows = fields(spec, answer.schema ?? {});
    const given = answer.example !== undefined || answer.examples !== undefined;
    // One made up from the schema would say less than the fields do.
    const example = given ? exampleOf(spec, answer) : undefined;
    const head = [
      el("code", { class: "status", "data-class": answer.status[0] }, answer.status),
      " ",
      answer.description,
      answer.types.length > 0 && el("span", { class: "type" }, ` ${answer.types.join(", ")}`),
    ];
    if (!rows.length && example === undefined) return el("li", {}, el("p", {}, head));
    return el(
      "li",
      {},
      el(
        "details",
        {},
        el("summary", {}, head),
        rows.length > 0 && el("dl", { class: "fields" }, rows.map((row) => field(row))),
        json(`Example of ${answer.status}`, example),
      ),
    );
  }));
}

function json(label, value) {
  if (value === undefined || value === null) return null;
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  return el("pre", { tabindex: "0", role: "region", "aria-label": label }, el("code", {}, text));
}

start();
