/** Sends a request with the session and reads the beginning of its answer, whatever it is. */
import { MOST_BYTES, pretty } from "./request";

export interface Answer {
  status: number;
  words: string;
  /** Milliseconds until the answer, or what is shown of it, was there. */
  took: number;
  headers: string;
  type: string;
  /** null: not a text. */
  text: string | null;
  /** More came than is shown. */
  cut: boolean;
}

const IS_TEXT = /^(text\/|application\/(json|.*\+json|jsonl|x-ndjson|yaml|xml))/;

export async function ask(url: string, method: string, body: string | null, signal: AbortSignal): Promise<Answer> {
  const begun = performance.now();
  const response = await fetch(url, {
    method,
    signal,
    ...(body === null ? {} : { body, headers: { "content-type": "application/json" } }),
  });
  const type = response.headers.get("content-type") ?? "";
  const readable = !type || IS_TEXT.test(type);
  const { text, cut } = readable ? await beginning(response) : { text: null, cut: false };
  if (!readable) await response.body?.cancel();
  return {
    status: response.status,
    words: response.statusText,
    took: Math.round(performance.now() - begun),
    headers: [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n"),
    type,
    text: text === null || cut ? text : pretty(text, type),
    cut,
  };
}

async function beginning(response: Response): Promise<{ text: string; cut: boolean }> {
  const reader = response.body?.getReader();
  const decoder = new TextDecoder();
  let text = "";
  let size = 0;
  while (reader) {
    const { done, value } = await reader.read();
    if (done) break;
    text += decoder.decode(value.subarray(0, Math.max(0, MOST_BYTES - size)), { stream: true });
    size += value.length;
    if (size > MOST_BYTES) {
      await reader.cancel();
      return { text, cut: true };
    }
  }
  return { text: text + decoder.decode(), cut: false };
}
