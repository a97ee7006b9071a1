/** Suggested first messages, as they travel in files and in `meta.suggestion_prompts`. */
import type { Suggestion } from "./draft.svelte";

/** What stands in a stored value or a file; null when it is no list of suggestions. */
export function readSuggestions(value: unknown): Suggestion[] | null {
  if (!Array.isArray(value)) return null;
  const found: Suggestion[] = [];
  for (const item of value as unknown[]) {
    if (typeof item !== "object" || item === null) return null;
    const { title, content } = item as { title?: unknown; content?: unknown };
    if (typeof content !== "string") return null;
    const lines = Array.isArray(title) ? title : [title ?? ""];
    // Whatever else stands in it is kept.
    found.push({ ...item, title: [String(lines[0] ?? ""), String(lines[1] ?? "")], content });
  }
  return found;
}
