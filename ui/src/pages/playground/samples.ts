/** A request as a program would send it. Whatever its texts hold, the quoting of each language keeps it as it is. */
import { quoted } from "$app/shell";
import type { Request } from "./request";

export const LANGUAGES = ["curl", "python", "javascript"] as const;
export type Language = (typeof LANGUAGES)[number];

export function sample(language: Language, request: Request, address: string): string {
  const body = { ...withoutImages(request), stream: true, stream_options: { include_usage: true } };
  return WRITERS[language](body, `${address}/v1`);
}

/** The same request with a mark where an image was: its data would hide everything else. */
function withoutImages(request: Request): Request {
  let count = 0;
  const messages = request.messages.map((message) => {
    if (!Array.isArray(message.content)) return message;
    const content = (message.content as { type: string; image_url?: { url: string } }[]).map((part) => {
      if (part.type !== "image_url") return part;
      const type = part.image_url?.url.split(";", 1)[0] ?? "data:image/png";
      count += 1;
      return { type: "image_url", image_url: { url: `${type};base64,IMAGE_${count}` } };
    });
    return { ...message, content };
  });
  return { ...request, messages };
}

export function hasImages(request: Request): boolean {
  return request.messages.some(
    ({ content }) => Array.isArray(content) && content.some((part: { type?: string }) => part.type === "image_url"),
  );
}

const WRITERS: Record<Language, (body: Request, base: string) => string> = {
  curl: (body, base) =>
    [
      `curl --no-buffer ${quoted(`${base}/chat/completions`)} \\`,
      '  --header "Authorization: Bearer $MODELYARD_API_KEY" \\',
      "  --header 'Content-Type: application/json' \\",
      `  --data-raw ${quoted(JSON.stringify(body, null, 2))}`,
    ].join("\n"),

  python: (body, base) => {
    const named: string[] = [];
    const extra: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(body)) {
      if (PYTHON_ARGUMENTS.has(name)) named.push(`    ${name}=${python(value, 1)},`);
      else extra[name] = value;
    }
    if (Object.keys(extra).length) named.push(`    extra_body=${python(extra, 1)},`);
    return [
      "import os",
      "",
      "from openai import OpenAI",
      "",
      `client = OpenAI(base_url=${python(base, 0)}, api_key=os.environ["MODELYARD_API_KEY"])`,
      "stream = client.chat.completions.create(",
      ...named,
      ")",
      "for chunk in stream:",
      "    if chunk.choices and chunk.choices[0].delta.content:",
      '        print(chunk.choices[0].delta.content, end="", flush=True)',
    ].join("\n");
  },

  javascript: (body, base) =>
    [
      'import OpenAI from "openai";',
      "",
      `const client = new OpenAI({ baseURL: ${JSON.stringify(base)}, apiKey: process.env.MODELYARD_API_KEY });`,
      `const stream = await client.chat.completions.create(${javascript(body, 0)});`,
      "for await (const chunk of stream) {",
      '  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");',
      "}",
    ].join("\n"),
};

/** What the Python SDK takes by name; anything else goes into `extra_body`. */
const PYTHON_ARGUMENTS = new Set([
  ...["model", "messages", "stream", "stream_options", "temperature", "top_p", "max_tokens", "max_completion_tokens"],
  ...[
    "stop",
    "seed",
    "reasoning_effort",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "n",
    "user",
  ],
  ...["presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "metadata", "service_tier"],
]);

interface Notation {
  word: (value: unknown) => string;
  key: (name: string) => string;
}

export function python(value: unknown, depth: number): string {
  const words: Record<string, string> = { true: "True", false: "False", null: "None" };
  // The escapes of a JSON string mean the same in Python.
  return written(value, depth, "    ", {
    word: (one) => words[String(one)] ?? JSON.stringify(one),
    key: (name) => JSON.stringify(name),
  });
}

export function javascript(value: unknown, depth: number): string {
  return written(value, depth, "  ", {
    word: (one) => JSON.stringify(one),
    // A literal `"__proto__":` would set the prototype instead of a field.
    key: (name) => (name === "__proto__" ? '["__proto__"]' : JSON.stringify(name)),
  });
}

function written(value: unknown, depth: number, step: string, notation: Notation): string {
  const inner = step.repeat(depth + 1);
  const end = step.repeat(depth);
  if (Array.isArray(value)) {
    if (!value.length) return "[]";
    const items = value.map((item) => `${inner}${written(item, depth + 1, step, notation)},\n`);
    return `[\n${items.join("")}${end}]`;
  }
  if (typeof value === "object" && value !== null) {
    const items = Object.entries(value).map(
      ([name, item]) => `${inner}${notation.key(name)}: ${written(item, depth + 1, step, notation)},\n`,
    );
    return items.length ? `{\n${items.join("")}${end}}` : "{}";
  }
  return typeof value === "string" ? JSON.stringify(value) : notation.word(value ?? null);
}
