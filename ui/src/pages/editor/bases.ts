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
