/** What is asked again after a change. One table, so that no page forgets what others show. */
import type { QueryClient } from "@tanstack/svelte-query";

/** The first words of the query keys under which something of its kind is shown. */
const SHOWN_IN = {
  model: ["models", "model", "chat-models", "states", "jobs", "rights"],
  connection: ["connections", "models", "chat-models", "states", "jobs"],
  key: ["keys"],
  person: ["users", "groups", "keys", "models", "chat-models", "rights"],
  group: ["groups", "users", "models", "chat-models", "rights"],
  permissions: ["permissions", "rights", "config"],
  settings: ["users", "models", "chat-models", "config"],
} as const;

/** They show every kind of change. */
const ALWAYS = ["audit", "yard", "checklist"] as const;

export type Kind = keyof typeof SHOWN_IN;

/** Resolves when what is on the page has been asked again. `but`: an id that is gone, about which nobody is to ask. */
export async function refresh(queries: QueryClient, kind: Kind, but?: string): Promise<void> {
  const shown = new Set<unknown>([...SHOWN_IN[kind], ...ALWAYS]);
  await queries.invalidateQueries({
    predicate: ({ queryKey }) => shown.has(queryKey[0]) && (but === undefined || !queryKey.includes(but)),
  });
}
