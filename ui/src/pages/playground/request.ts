/** The body of a call to a model, from what stands in the conversation. */
import type { ToolCall } from "./answer";

/** What of a message a model is told. */
export interface Said {
  role: "user" | "assistant";
  text: string;
  images: readonly string[];
  calls: readonly ToolCall[];
}

export interface Request {
  model: string;
  messages: Record<string, unknown>[];
  [parameter: string]: unknown;
}

export function requestOf(
  said: readonly Said[],
  { model, system, params }: { model: string; system: string; params: Record<string, unknown> },
): Request {
  const messages = said.flatMap((message) => (message.role === "user" ? [asked(message)] : answered(message)));
  if (system.trim()) messages.unshift({ role: "system", content: system });
  return { ...params, model, messages };
}

function asked({ text, images }: Said): Record<string, unknown> {
  if (!images.length) return { role: "user", content: text };
  const parts: Record<string, unknown>[] = images.map((url) => ({ type: "image_url", image_url: { url } }));
  if (text) parts.unshift({ type: "text", text });
  return { role: "user", content: parts };
}

/** A call without a result must not be told: backends refuse such a conversation. So must nothing at all. */
function answered({ text, calls }: Said): Record<string, unknown>[] {
  const done = calls.filter((call) => call.result !== null);
  if (!done.length) return text ? [{ role: "assistant", content: text }] : [];
  return [
    {
      role: "assistant",
      content: text || null,
      tool_calls: done.map(({ id, name, arguments: given }) => ({
        id,
        type: "function",
        function: { name, arguments: given },
      })),
    },
    ...done.map(({ id, result }) => ({ role: "tool", tool_call_id: id, content: result })),
  ];
}
