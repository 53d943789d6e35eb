// The lines that point a client at this gateway. The key comes from the environment, so no snippet holds a secret.

/** A model of the built-in demo provider stands in until the real ones are known. */
export const STAND_IN = "demo/echo";

const QUESTION = "Say hello in one sentence.";

export function snippets(baseUrl, model) {
  const name = JSON.stringify(model);
  const body = JSON.stringify({ model, messages: [{ role: "user", content: QUESTION }] });
  return [
    {
      id: "env",
      label: "Environment",
      code: [`export OPENAI_BASE_URL=${baseUrl}`, "export OPENAI_API_KEY=your-gateway-token"].join("\n"),
      note: "Most OpenAI clients read these two and need nothing else.",
    },
    {
      id: "python",
      label: "Python",
      code: [
        "from openai import OpenAI",
        "",
        `client = OpenAI(base_url=${JSON.stringify(baseUrl)})  # the key comes from OPENAI_API_KEY`,
        "answer = client.chat.completions.create(",
        `    model=${name},`,
        `    messages=[{"role": "user", "content": ${JSON.stringify(QUESTION)}}],`,
        ")",
        "print(answer.choices[0].message.content)",
      ].join("\n"),
      note: "pip install openai",
    },
    {
      id: "node",
      label: "Node",
      code: [
        'import OpenAI from "openai";',
        "",
        `const client = new OpenAI({ baseURL: ${JSON.stringify(baseUrl)} }); // the key comes from OPENAI_API_KEY`,
        "const answer = await client.chat.completions.create({",
        `  model: ${name},`,
        `  messages: [{ role: "user", content: ${JSON.stringify(QUESTION)} }],`,
        "});",
        "console.log(answer.choices[0].message.content);",
      ].join("\n"),
      note: "npm install openai",
    },
    {
      id: "curl",
      label: "curl",
      code: [
        `curl ${baseUrl}/chat/completions \\`,
        '  -H "Authorization: Bearer $OPENAI_API_KEY" \\',
        '  -H "Content-Type: application/json" \\',
        `  -d ${shellQuoted(body)}`,
      ].join("\n"),
      note: "Add \"stream\": true to the body, and -N to curl, to see it arrive word by word.",
    },
  ];
}

/** One word of a POSIX shell, whatever is in it. */
export function shellQuoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
