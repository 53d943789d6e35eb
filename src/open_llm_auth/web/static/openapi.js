// Reads an OpenAPI 3 document: operations in order, schemas as rows, examples where none is given. No DOM here.

const METHODS = ["get", "post", "put", "patch", "delete", "head", "options"];
const DEEPEST = 6;

/** Operations grouped by first tag, in the order of the document's tags, then of the paths: [{tag, about, operations}]. */
export function groups(spec) {
  const about = new Map((spec.tags ?? []).map((tag) => [tag.name, tag.description ?? ""]));
  const found = new Map([...about.keys()].map((name) => [name, []]));
  for (const operation of operations(spec)) {
    const tag = operation.tags?.[0] ?? "other";
    if (!found.has(tag)) found.set(tag, []);
    found.get(tag).push(operation);
  }
  return [...found]
    .filter(([, list]) => list.length)
    .map(([tag, list]) => ({ tag, about: about.get(tag) ?? "", operations: list }));
}

function operations(spec) {
  return Object.entries(spec.paths ?? {}).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => ({
      ...item[method],
      id: anchor(method, path),
      method: method.toUpperCase(),
      path,
      parameters: parameters(spec, item, item[method]),
      body: requestBody(spec, item[method]),
      answers: answers(spec, item[method]),
      scope: scope(spec, item[method]),
    })),
  );
}

export function anchor(method, path) {
  return `${method}-${path}`.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");
}

/** The operation's own `x-scope`, else the scopes of its security requirement, else "none" where it asks for nothing. */
export function scope(spec, operation) {
  if (typeof operation["x-scope"] === "string") return operation["x-scope"];
  const needs = operation.security ?? spec.security ?? [];
  const scopes = [...new Set(needs.flatMap((need) => Object.values(need).flat()))];
  if (scopes.length) return scopes.join(", ");
  return needs.some((need) => Object.keys(need).length) ? "token" : "none";
}

function parameters(spec, item, operation) {
  const byKey = new Map();
  for (const raw of [...(item.parameters ?? []), ...(operation.parameters ?? [])]) {
    const parameter = resolved(spec, raw);
    byKey.set(`${parameter.in} ${parameter.name}`, parameter);
  }
  return [...byKey.values()];
}

function requestBody(spec, operation) {
  const body = operation.requestBody && resolved(spec, operation.requestBody);
  if (!body) return null;
  const [type, media] = mediaOf(body.content);
  return { ...media, type, description: body.description ?? "", required: Boolean(body.required) };
}

function answers(spec, operation) {
  return Object.entries(operation.responses ?? {}).map(([status, raw]) => {
    const answer = resolved(spec, raw);
    const [type, media] = mediaOf(answer.content);
    return { status, description: answer.description ?? "", types: Object.keys(answer.content ?? {}), type, ...media };
  });
}

function mediaOf(content = {}) {
  const type = "application/json" in content ? "application/json" : Object.keys(content)[0];
  return [type ?? "", content[type] ?? {}];
}

/** Follows `$ref` inside the document; a ref that leads nowhere is an empty schema. */
export function resolved(spec, node) {
  let at = node;
  for (let hops = 0; at && typeof at.$ref === "string" && hops < 20; hops += 1) {
    at = at.$ref
      .replace(/^#\//, "")
      .split("/")
      .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"))
      .reduce((here, part) => here?.[part], spec);
  }
  return at ?? {};
}

/** `allOf` folded into one object schema; other schemas as they are. */
function folded(spec, node) {
  const schema = resolved(spec, node);
  if (!schema.allOf) return schema;
  return schema.allOf.reduce(
    (sum, part) => {
      const piece = folded(spec, part);
      return {
        ...sum,
        ...piece,
        properties: { ...sum.properties, ...piece.properties },
        required: [...(sum.required ?? []), ...(piece.required ?? [])],
        description: sum.description ?? piece.description,
      };
    },
    { ...schema, allOf: undefined },
  );
}

function choices(schema) {
  return schema.anyOf ?? schema.oneOf ?? null;
}

/** A schema's type in words: "string", "array of object", "string or null". */
export function typeName(spec, node, depth = 0) {
  const schema = folded(spec, node);
  const options = choices(schema);
  if (options) return [...new Set(options.map((option) => typeName(spec, option, depth + 1)))].join(" or ");
  if (Array.isArray(schema.type)) return schema.type.join(" or ");
  if (schema.type === "array") {
    return depth > DEEPEST || !schema.items ? "array" : `array of ${typeName(spec, schema.items, depth + 1)}`;
  }
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.type) return schema.type;
  if (schema.enum) return [...new Set(schema.enum.map((value) => (value === null ? "null" : typeof value)))].join(" or ");
  return schema.properties ? "object" : "any";
}

/** Limits, default and permitted values, as short sentences. */
export function limits(spec, node) {
  const schema = folded(spec, node);
  const values = schema.enum?.map((value) => JSON.stringify(value)).join(", ");
  return [
    values && `one of ${values}`,
    schema.default !== undefined && schema.default !== null && `default ${JSON.stringify(schema.default)}`,
    schema.minimum !== undefined && `at least ${schema.minimum}`,
    schema.maximum !== undefined && `at most ${schema.maximum}`,
    schema.minLength !== undefined && `at least ${schema.minLength} characters`,
    schema.maxLength !== undefined && `at most ${schema.maxLength} characters`,
    schema.pattern !== undefined && `matches ${schema.pattern}`,
    schema.format !== undefined && `format ${schema.format}`,
  ].filter(Boolean);
}

/**
 * The fields of a schema, nested: [{name, type, required, description, limits, fields}]. Arrays show the fields of their
 * items; a choice shows those of all its object options. A schema inside itself is not opened twice.
 */
export function fields(spec, node, seen = []) {
  const schema = folded(spec, node);
  if (seen.includes(schema) || seen.length > DEEPEST) return [];
  const inside = [...seen, schema];
  const options = choices(schema);
  if (options) return options.flatMap((option) => fields(spec, option, inside));
  if (schema.items) return fields(spec, schema.items, inside);
  return Object.entries(schema.properties ?? {}).map(([name, property]) => {
    const own = folded(spec, property);
    return {
      name,
      type: typeName(spec, property),
      required: (schema.required ?? []).includes(name),
      description: own.description ?? "",
      limits: limits(spec, property),
      fields: fields(spec, property, inside),
    };
  });
}

/** The example of a media object or parameter, or one made from its schema: required fields and those with an example. */
export function exampleOf(spec, media) {
  if (media.example !== undefined) return media.example;
  const named = Object.values(media.examples ?? {})[0];
  if (named !== undefined) return resolved(spec, named).value;
  return media.schema ? made(spec, media.schema, 0) : undefined;
}

const PLAIN = { string: "text", integer: 1, number: 1, boolean: true, null: null };

function made(spec, node, depth) {
  const schema = folded(spec, node);
  if (schema.example !== undefined) return schema.example;
  if (Array.isArray(schema.examples) && schema.examples.length) return schema.examples[0];
  if (schema.const !== undefined) return schema.const;
  if (schema.default !== undefined) return schema.default;
  if (schema.enum) return schema.enum[0];
  if (depth > DEEPEST) return null;
  const options = choices(schema);
  if (options) return made(spec, options.find((option) => folded(spec, option).type !== "null") ?? {}, depth + 1);
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (type === "array") return schema.items ? [made(spec, schema.items, depth + 1)] : [];
  if (type === "object" || schema.properties) {
    const required = schema.required ?? [];
    const wanted = Object.entries(schema.properties ?? {}).filter(
      ([name, property]) => required.includes(name) || hasExample(folded(spec, property)),
    );
    return Object.fromEntries(wanted.map(([name, property]) => [name, made(spec, property, depth + 1)]));
  }
  return PLAIN[type] ?? null;
}

function hasExample(schema) {
  return schema.example !== undefined || (Array.isArray(schema.examples) && schema.examples.length > 0);
}

/** `path` with its parameters filled in. A slash stays a slash where a model name carries one; the rest is escaped. */
export function address(path, inPath, inQuery) {
  const filled = path.replace(/\{([^}:]+)(?::[^}]*)?\}/g, (_, name) =>
    (inPath[name] ?? "").split("/").map(encodeURIComponent).join("/"),
  );
  const query = new URLSearchParams(Object.entries(inQuery).filter(([, value]) => value !== ""));
  return query.size ? `${filled}?${query}` : filled;
}
