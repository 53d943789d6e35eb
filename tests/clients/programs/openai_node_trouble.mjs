// The openai Node SDK when the provider is in trouble: the case named by the argument, one line of JSON.
// Environment: BASE_URL, API_KEY, MODEL.

import assert from "node:assert/strict";
import OpenAI from "openai";

const { BASE_URL: baseURL, API_KEY: apiKey, MODEL: model } = process.env;
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 20_000 });
const request = { model, messages: [{ role: "user", content: "hello" }] };

const refusal = async (action) => {
  try {
    await action();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
};

const follow = async (stream) => {
  let text = "";
  for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
  return text;
};

const cases = {
  async retries_as_told() {
    const began = Date.now();
    const answer = await client.chat.completions.create(request, { maxRetries: 2 });
    assert.ok(answer.choices[0].message.content);
    assert.ok(Date.now() - began > 900, "retry-after was not obeyed");
    return `${Date.now() - began} ms`;
  },

  async raises_a_caller_error() {
    const error = await refusal(() => client.chat.completions.create(request));
    assert.ok(error instanceof OpenAI.BadRequestError, String(error));
    assert.equal(error.code, "upstream_http_error");
    assert.ok(error.requestID);
    return error.message;
  },

  async raises_a_server_error() {
    const error = await refusal(() => client.chat.completions.create({ ...request, stream: true }));
    assert.ok(error instanceof OpenAI.InternalServerError, String(error));
    return error.message;
  },

  async raises_in_a_broken_stream() {
    const stream = await client.chat.completions.create({ ...request, stream: true });
    const error = await refusal(() => follow(stream));
    assert.ok(error instanceof OpenAI.APIError, String(error));
    return error.message;
  },

  async reads_an_unusual_stream() {
    return follow(await client.chat.completions.create({ ...request, stream: true }));
  },

  async leaves_a_stream() {
    const stream = await client.chat.completions.create({ ...request, stream: true });
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break;
    return "left";
  },
};

const name = process.argv[2];
try {
  console.log(JSON.stringify({ case: name, ok: true, seen: await cases[name]() }));
} catch (error) {
  console.log(JSON.stringify({ case: name, ok: false, seen: `${error.name}: ${error.message}` }));
}
