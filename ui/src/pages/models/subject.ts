/** What a menu, a switch and a dialog need to know of a model, be it a preset or a base model. */
import type { Schemas } from "$api/client";

export type Row = Schemas["Model"];

export interface Subject {
  /** By which it is called. */
  id: string;
  /** Of the row that governs it: another spelling of the name, perhaps. Acts on the row, and its editor, go by this. */
  rowId: string;
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
    rowId: row.id,
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

/** What an act on many, and what takes it back, need to know of each. */
export type Picked = Pick<Row, "id" | "name" | "is_active" | "meta" | "access_grants">;

export interface Selected extends Picked {
  /** There is a row; base models may have none. */
  stored: boolean;
}

export function picked({ rowId, name, active, row }: Subject): Selected {
  return {
    id: rowId,
    name,
    is_active: active,
    meta: row?.meta ?? {},
    access_grants: row?.access_grants ?? [],
    stored: row !== null,
  };
}

/** The names of a row's tags, each once, whatever shape older clients gave them. */
export function tagNames(meta: Record<string, unknown>): string[] {
  const tags: unknown[] = Array.isArray(meta.tags) ? meta.tags : [];
  const names = tags
    .map((tag) => (typeof tag === "object" && tag !== null ? (tag as { name?: unknown }).name : tag))
    .filter((name): name is string => typeof name === "string" && name !== "");
  return [...new Set(names)];
}

/** Serves the pictures of models. */
export const IMAGE_PATH = "/api/v1/models/model/profile/image";

/** The address of a picture that is here: within the model's `meta`, or kept by this server. Empty for any other, which is not
 * asked with the person's session, and for none. */
export function ownPicture(meta: Record<string, unknown> | undefined): string {
  const address = meta?.profile_image_url;
  const isOwn = typeof address === "string" && (address.startsWith("data:") || address.startsWith(`${IMAGE_PATH}?`));
  return isOwn ? address : "";
}

/** A file's name for an id, which may hold what file systems do not take. */
export function fileName(id: string, ending: string): string {
  return id.replace(/[^\p{L}\p{N}._-]+/gu, "-").slice(0, 100) + ending;
}
