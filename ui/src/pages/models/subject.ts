/** What a menu, a switch and a dialog need to know of a model, be it a preset or a base model. */
import type { Schemas } from "$api/client";

export type Row = Schemas["Model"];

export interface Subject {
  id: string;
  name: string;
  isBase: boolean;
  /** Its row of the catalogue; null for a base model that nobody has set up. */
  row: Row | null;
  active: boolean;
  hidden: boolean;
  /** The person may open it in the editor. */
  editable: boolean;
  /** The person may change it here: `editable`, and no file declares it. */
  changeable: boolean;
  /** Somebody may call it through a backend that is there. */
  offered: boolean;
}

export function subjectOf(row: Schemas["OwnedModel"]): Subject {
  return {
    id: row.id,
    name: row.name,
    isBase: false,
    row,
    active: row.is_active,
    hidden: row.meta.hidden === true,
    editable: row.write_access,
    changeable: row.write_access && row.source !== "file",
    offered: row.base_offered,
  };
}

type Grants = readonly { principal_type: string; principal_id: string; permission: string }[];

export const EVERYONE = { principal_type: "user", principal_id: "*", permission: "read" } as const;

export function isPublic(grants: Grants): boolean {
  return grants.some((grant) => grant.principal_type === "user" && grant.principal_id === "*");
}

/** The same rights, in whatever order. */
export function sameGrants(some: Grants, others: Grants): boolean {
  const set = (grants: Grants) =>
    [...new Set(grants.map((one) => `${one.principal_type} ${one.principal_id} ${one.permission}`))].sort().join("\n");
  return set(some) === set(others);
}

/** How many people and groups a row is open to, each counted once. */
export function audience(grants: Grants): { people: number; groups: number } {
  const ids = (type: string) =>
    new Set(grants.filter((grant) => grant.principal_type === type).map((grant) => grant.principal_id)).size;
  return { people: ids("user"), groups: ids("group") };
}

/** The names of a row's tags, whatever shape older clients gave them. */
export function tagNames(meta: Record<string, unknown>): string[] {
  const tags: unknown[] = Array.isArray(meta.tags) ? meta.tags : [];
  return tags
    .map((tag) => (typeof tag === "object" && tag !== null ? (tag as { name?: unknown }).name : tag))
    .filter((name): name is string => typeof name === "string" && name !== "");
}

/** A file's name for an id, which may hold what file systems do not take. */
export function fileName(id: string, ending: string): string {
  return id.replace(/[^\p{L}\p{N}._-]+/gu, "-").slice(0, 100) + ending;
}
