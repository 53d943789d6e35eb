// The @anthropic-ai/sdk, run through what a Messages endpoint promises: one line of JSON a case.
// Environment: BASE_URL, API_KEY, MODEL.

import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import { z } from "zod";

const { BASE_URL, API_KEY, MODEL: model } = process.env;
const settings = { baseURL: BASE_URL.replace(/\/v1$/, ""), maxRetries: 0, timeout: 30_000 };
const client = new Anthropic({ ...settings, apiKey: API_KEY, authToken: null });
const messages = [{ role: "user", content: "hello" }];
const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const tools = [
  {
    name: "get_weather",
    description: "The weather of a city",
    input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
];

const said = (message) => message.content.map((block) => block.text ?? "").join("");

const cases = {
  async plain() {
    const asked = client.messages.create({ model, max_tokens: 8, messages, system: "You are terse." });
    const { data, request_id: requestId } = await asked.withResponse();
    assert.ok(said(data));
    assert.ok(["end_turn", "max_tokens"].includes(data.stop_reason), data.stop_reason);
    assert.ok(data.usage.input_tokens > 0 && data.usage.output_tokens > 0, JSON.stringify(data.usage));
    assert.ok(requestId);
    return JSON.stringify(said(data));
  },

  async stream() {
    const stream = client.messages.stream({ model, max_tokens: 8, messages });
    const pieces = [];
    stream.on("text", (piece) => pieces.push(piece));
    const message = await stream.finalMessage();
    assert.equal(pieces.join(""), said(message));
    assert.ok(said(message));
    assert.ok(message.usage.output_tokens > 0);
    return `${pieces.length} pieces`;
  },

  async stream_events() {
    const kinds = [];
    for await (const event of await client.messages.create({ model, max_tokens: 8, messages, stream: true }))
      kinds.push(event.type);
    assert.equal(kinds[0], "message_start");
    assert.deepEqual(kinds.slice(-2), ["message_delta", "message_stop"]);
    return `${kinds.length} events`;
  },

  async tools() {
    const asked = [{ role: "user", content: "/tool get_weather" }];
    const message = await client.messages.stream({ model, max_tokens: 256, messages: asked, tools }).finalMessage();
    assert.equal(message.stop_reason, "tool_use");
    const call = message.content.find((block) => block.type === "tool_use");
    assert.equal(call.name, "get_weather");
    assert.ok("city" in call.input);
    const result = { type: "tool_result", tool_use_id: call.id, content: [{ type: "text", text: "sunny" }] };
    const history = [...asked, { role: "assistant", content: message.content }, { role: "user", content: [result] }];
    assert.ok(said(await client.messages.create({ model, max_tokens: 64, messages: history, tools })));
    return JSON.stringify(call.input);
  },

  async image() {
    const source = { type: "base64", media_type: "image/png", data: pixel };
    const content = [{ type: "text", text: "What is this?" }, { type: "image", source }];
    const message = await client.messages.create({ model, max_tokens: 8, messages: [{ role: "user", content }] });
    assert.ok(said(message));
    return JSON.stringify(said(message));
  },

  async parse() {
    const format = zodOutputFormat(z.object({ ready: z.boolean() }));
    const message = await client.messages.parse({ model, max_tokens: 64, messages, output_config: { format } });
    assert.equal(typeof message.parsed_output.ready, "boolean");
    return JSON.stringify(message.parsed_output);
  },

  async count_tokens() {
    const { input_tokens: counted } = await client.messages.countTokens({ model, messages, tools });
    assert.ok(counted > 0);
    return `${counted} tokens`;
  },

  async errors() {
    try {
      await client.messages.create({ model: "no-such-provider/no-such-model", max_tokens: 8, messages });
    } catch (error) {
      assert.ok(error instanceof Anthropic.NotFoundError, String(error));
      assert.ok(error.requestID);
      return error.error.error.type;
    }
    throw new Error("an unknown provider was served");
  },

  async bearer() {
    const own = new Anthropic({ ...settings, apiKey: null, authToken: API_KEY });
    const message = await own.messages.create({ model, max_tokens: 8, messages });
    assert.ok(said(message));
    return JSON.stringify(said(message));
  },
};

for (const [name, run] of Object.entries(cases)) {
  try {
    console.log(JSON.stringify({ case: name, ok: true, seen: await run() }));
  } catch (error) {
    console.log(JSON.stringify({ case: name, ok: false, seen: `${error.name}: ${error.message}` }));
  }
}
