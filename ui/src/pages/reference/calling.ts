/** Ready programs that call a model, for each client and language. Pure. */
import { quoted } from "$app/shell";

export type Dialect = "openai" | "anthropic" | "ollama";
export type Language = "curl" | "python" | "javascript";

export const INSTALL: Record<Dialect, Record<Language, string>> = {
  openai: { curl: "", python: "pip install openai", javascript: "npm install openai" },
  anthropic: { curl: "", python: "pip install anthropic", javascript: "npm install @anthropic-ai/sdk" },
  ollama: { curl: "", python: "pip install ollama", javascript: "npm install ollama" },
};

/** What a client of this kind takes as its base address. */
export function base(dialect: Dialect, address: string): string {
  return dialect === "openai" ? `${address}/v1` : address;
}

const QUESTION = { role: "user", content: "Hello" };

export function program(dialect: Dialect, language: Language, address: string, model: string): string {
  // A JSON text is a literal of Python and of JavaScript as well.
  const name = JSON.stringify(model);
  const at = JSON.stringify(base(dialect, address));
  return {
    curl: () => command(dialect, address, model),
    python: () => python(dialect, at, name),
    javascript: () => javascript(dialect, at, name),
  }[language]();
}

function command(dialect: Dialect, address: string, model: string): string {
  const path = { openai: "/v1/chat/completions", anthropic: "/v1/messages", ollama: "/api/chat" }[dialect];
  const body = { model, messages: [QUESTION], ...(dialect === "anthropic" ? { max_tokens: 200 } : {}) };
  const version = dialect === "anthropic" ? [`  -H "anthropic-version: 2023-06-01"`] : [];
  return [
    `curl ${quoted(address + path)}`,
    `  -H "Authorization: Bearer $MODELYARD_API_KEY"`,
    ...version,
    `  -H "Content-Type: application/json"`,
    `  -d ${quoted(JSON.stringify(body))}`,
  ].join(" \\\n");
}

function python(dialect: Dialect, at: string, name: string): string {
  const key = `os.environ["MODELYARD_API_KEY"]`;
  const messages = `[{"role": "user", "content": "Hello"}]`;
  switch (dialect) {
    case "openai":
      return `import os

from openai import OpenAI

client = OpenAI(base_url=${at}, api_key=${key})
stream = client.chat.completions.create(model=${name}, messages=${messages}, stream=True)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="")
`;
    case "anthropic":
      return `import os

from anthropic import Anthropic

client = Anthropic(base_url=${at}, api_key=${key})
with client.messages.stream(model=${name}, max_tokens=200, messages=${messages}) as stream:
    for text in stream.text_stream:
        print(text, end="")
`;
    case "ollama":
      return `import os

from ollama import Client

client = Client(host=${at}, headers={"Authorization": "Bearer " + ${key}})
for part in client.chat(model=${name}, messages=${messages}, stream=True):
    print(part.message.content, end="")
`;
  }
}

function javascript(dialect: Dialect, at: string, name: string): string {
  const key = "process.env.MODELYARD_API_KEY";
  const messages = `[{ role: "user", content: "Hello" }]`;
  switch (dialect) {
    case "openai":
      return `import OpenAI from "openai";

const client = new OpenAI({ baseURL: ${at}, apiKey: ${key} });
const stream = await client.chat.completions.create({ model: ${name}, messages: ${messages}, stream: true });
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
`;
    case "anthropic":
      return `import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({ baseURL: ${at}, apiKey: ${key} });
const stream = client.messages.stream({ model: ${name}, max_tokens: 200, messages: ${messages} });
stream.on("text", (text) => process.stdout.write(text));
await stream.finalMessage();
`;
    case "ollama":
      return `import { Ollama } from "ollama";

const client = new Ollama({ host: ${at}, headers: { Authorization: \`Bearer \${${key}}\` } });
const stream = await client.chat({ model: ${name}, messages: ${messages}, stream: true });
for await (const part of stream) process.stdout.write(part.message.content);
`;
  }
}

/** Variables that make programs of each kind come here. */
export function variables(dialect: Dialect, address: string): string {
  const at = base(dialect, address);
  return {
    openai: `export OPENAI_BASE_URL=${at}\nexport OPENAI_API_KEY=$MODELYARD_API_KEY`,
    anthropic: `export ANTHROPIC_BASE_URL=${at}\nexport ANTHROPIC_AUTH_TOKEN=$MODELYARD_API_KEY`,
    ollama: `export OLLAMA_HOST=${at}\nexport OLLAMA_API_KEY=$MODELYARD_API_KEY`,
  }[dialect];
}
