/** Models that a preset can stand on. */
import { send } from "$api/client";

/** What the editor reads of an entry of `GET /api/models`. */
export interface Entry {
  id: string;
  name: string;
  owned_by?: string;
  preset?: boolean;
  arena?: boolean;
  actions?: { id: string; name?: string }[];
  filters?: { id: string; name?: string }[];
}

async function list(path: string, signal: AbortSignal): Promise<Entry[]> {
  const answer = (await (await send(path, { signal })).json()) as { data?: Entry[] };
  return answer.data ?? [];
}

/** Everything that the person can call, presets and arenas among it. */
export const callable = (signal: AbortSignal): Promise<Entry[]> => list("/api/models", signal);

/** What the backends offer, for administrators. */
export const offered = (signal: AbortSignal): Promise<Entry[]> => list("/api/models/base", signal);

export const isBase = (entry: Entry): boolean => !entry.preset && !entry.arena;

/** The entry of a base model, which may be named without `:latest`. */
export const baseOf = (entries: readonly Entry[], id: string): Entry | undefined =>
  entries.find((entry) => entry.id === id) ??
  entries.find((entry) => entry.id === `${id}:latest` || `${entry.id}:latest` === id);
