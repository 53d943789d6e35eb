// The openai Node SDK on the Responses API: one line of JSON a case.
// Environment: BASE_URL, API_KEY, MODEL.

import assert from "node:assert/strict";
import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

const { BASE_URL: baseURL, API_KEY: apiKey, MODEL: model } = process.env;
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 30_000 });
const store = false;
const parameters = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const tools = [{ type: "function", name: "get_weather", description: "The weather of a city", parameters, strict: true }];

const cases = {
  async plain() {
    const asked = client.responses.create({ model, input: "hello", instructions: "You are terse.", store });
    const { data, request_id: requestId } = await asked.withResponse();
    assert.equal(data.status, "completed");
    assert.ok(data.output_text);
    assert.ok(data.usage.output_tokens > 0);
    assert.ok(requestId);
    return JSON.stringify(data.output_text);
  },

  async stream() {
    const kinds = [];
    let text = "";
    let final;
    for await (const event of await client.responses.create({ model, input: "hello", store, stream: true })) {
      kinds.push(event.type);
      if (event.type === "response.output_text.delta") text += event.delta;
      if (event.type === "response.completed") final = event.response;
    }
    assert.equal(kinds[0], "response.created");
    assert.equal(kinds.at(-1), "response.completed");
    assert.ok(text);
    assert.equal(final.output.flatMap((item) => item.content ?? []).map((part) => part.text ?? "").join(""), text);
    return `${kinds.length} events`;
  },

  async stream_helper() {
    const final = await client.responses.stream({ model, input: "hello", store }).finalResponse();
    assert.ok(final.output_text);
    return JSON.stringify(final.output_text);
  },

  async tools() {
    const input = [{ role: "user", content: "/tool get_weather" }];
    const first = await client.responses.create({ model, input, tools, store });
    const call = first.output.find((item) => item.type === "function_call");
    assert.equal(call.name, "get_weather");
    assert.ok("city" in JSON.parse(call.arguments));
    const result = { type: "function_call_output", call_id: call.call_id, output: "sunny" };
    const answer = await client.responses.create({ model, input: [...input, ...first.output, result], tools, store });
    assert.ok(answer.output_text);
    return call.arguments;
  },

  async parse() {
    const text = { format: zodTextFormat(z.object({ ready: z.boolean() }), "flag") };
    const answer = await client.responses.parse({ model, input: "hello", text, store });
    assert.equal(typeof answer.output_parsed.ready, "boolean");
    return JSON.stringify(answer.output_parsed);
  },

  async errors() {
    try {
      await client.responses.create({ model: "no-such-provider/no-such-model", input: "hello" });
    } catch (error) {
      assert.ok(error instanceof OpenAI.NotFoundError, String(error));
      assert.ok(error.requestID);
      return error.code;
    }
    throw new Error("an unknown provider was served");
  },
};

for (const [name, run] of Object.entries(cases)) {
  try {
    console.log(JSON.stringify({ case: name, ok: true, seen: await run() }));
  } catch (error) {
    console.log(JSON.stringify({ case: name, ok: false, seen: `${error.name}: ${error.message}` }));
  }
}
