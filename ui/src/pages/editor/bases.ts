/** Models that a preset can stand on: what the editor reads of an entry of `GET /api/models`. */
export interface Entry {
  id: string;
  name: string;
  owned_by?: string;
  preset?: boolean;
  arena?: boolean;
  actions?: { id: string; name?: string }[];
  filters?: { id: string; name?: string }[];
}

export const isBase = (entry: Entry): boolean => !entry.preset && !entry.arena;

/** The entry of a base model, which may be named without `:latest`. */
export const baseOf = (entries: readonly Entry[], id: string): Entry | undefined =>
  entries.find((entry) => entry.id === id) ??
  entries.find((entry) => entry.id === `${id}:latest` || `${entry.id}:latest` === id);
