// The openai Node SDK, run through what an OpenAI-compatible endpoint promises: one line of JSON a case.
// Environment: BASE_URL, API_KEY, MODEL, EMBEDDING_MODEL.

import assert from "node:assert/strict";
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

const { BASE_URL: baseURL, API_KEY: apiKey, MODEL: model, EMBEDDING_MODEL: embeddingModel } = process.env;
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 30_000 });
const messages = [{ role: "user", content: "hello" }];

const collect = async (stream) => {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
};

const cases = {
  async models() {
    const ids = (await collect(client.models.list())).map((entry) => entry.id);
    assert.ok(ids.includes(model), ids.join(" "));
    return `${ids.length} listed`;
  },

  async retrieve() {
    const found = await client.models.retrieve(model);
    assert.equal(found.id, model);
    return found.id;
  },

  async plain() {
    const asked = client.chat.completions.create({ model, messages, max_tokens: 8 });
    const { data, request_id: requestId } = await asked.withResponse();
    assert.ok(data.choices[0].message.content);
    assert.ok(data.usage.completion_tokens > 0);
    assert.ok(requestId);
    return JSON.stringify(data.choices[0].message.content);
  },

  async stream() {
    const chunks = await collect(await client.chat.completions.create({ model, messages, max_tokens: 8, stream: true }));
    assert.ok(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""));
    assert.ok(chunks.every((chunk) => chunk.choices.length && !chunk.usage), "a usage chunk nobody asked for");
    return `${chunks.length} chunks`;
  },

  async stream_usage() {
    const options = { model, messages, max_tokens: 8, stream: true, stream_options: { include_usage: true } };
    const last = (await collect(await client.chat.completions.create(options))).at(-1);
    assert.equal(last.choices.length, 0);
    assert.ok(last.usage.completion_tokens > 0);
    return `${last.usage.total_tokens} tokens`;
  },

  async tools() {
    let called = "";
    const runner = client.chat.completions.runTools({
      model,
      stream: true,
      messages: [{ role: "user", content: "/tool get_weather" }],
      tools: [
        {
          type: "function",
          function: {
            name: "get_weather",
            description: "The weather of a city",
            parse: JSON.parse,
            function: ({ city }) => {
              called = city;
              return "sunny";
            },
            parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
          },
        },
      ],
    });
    assert.ok(await runner.finalContent());
    assert.ok(called);
    return called;
  },

  async parse() {
    const response_format = zodResponseFormat(z.object({ ready: z.boolean() }), "flag");
    const answer = await client.chat.completions.parse({ model, messages, response_format, max_tokens: 64 });
    assert.equal(typeof answer.choices[0].message.parsed.ready, "boolean");
    return JSON.stringify(answer.choices[0].message.parsed);
  },

  async embeddings() {
    const input = ["one", "two"];
    const packed = await client.embeddings.create({ model: embeddingModel, input });
    const plain = await client.embeddings.create({ model: embeddingModel, input, encoding_format: "float" });
    assert.equal(packed.data.length, 2);
    const distance = packed.data[0].embedding.map((value, index) => Math.abs(value - plain.data[0].embedding[index]));
    assert.ok(Math.max(...distance) < 1e-5);
    return `${packed.data[0].embedding.length} dimensions`;
  },

  async errors() {
    try {
      await client.chat.completions.create({ model: "no-such-provider/no-such-model", messages });
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
