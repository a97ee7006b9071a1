/** A call of a model as a line for a terminal. */
import { address } from "./place";
import { quoted } from "./shell";

/** `key` left out: the line takes it from a variable. */
export function curl(model: string, key?: string, server = address): string {
  const bearer = key ? quoted(`Authorization: Bearer ${key}`) : '"Authorization: Bearer $MODELYARD_API_KEY"';
  const body = JSON.stringify({ model, messages: [{ role: "user", content: "Hello" }] });
  return [
    `curl ${server}/v1/chat/completions \\`,
    `  -H ${bearer} \\`,
    "  -H 'Content-Type: application/json' \\",
    `  -d ${quoted(body)}`,
  ].join("\n");
}
