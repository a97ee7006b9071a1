/** Base models: what the backends offer, joined with the rows of the catalogue that govern them. */
import type { Schemas } from "$api/client";
import { otherSpelling } from "$api/model-names";
import { audience, isPublic } from "$parts/access";
import { models as text } from "$text/models";
import type { Row, Subject } from "./subject";

/** An entry of `GET /api/models/base` or `GET /api/models`, as far as it is used here. */
export interface Offered {
  id: string;
  name?: string;
  owned_by?: string;
  /** The place of its connection among those of the same kind. */
  urlIdx?: number;
  preset?: boolean;
  arena?: boolean;
  tags?: { name: string }[];
  info?: { meta?: Record<string, unknown>; is_active?: boolean };
}

export interface BaseModel {
  subject: Subject;
  /** The kind of backend that offers it; null when none does. */
  kind: string | null;
  /** Who offers it first; null where nobody does, or people are not told. */
  connection: Connection | null;
  /** Labels of its connection. */
  labels: string[];
}

type Connection = Pick<Schemas["Connection"], "id" | "name" | "kind">;

/** Every base model: the offered ones with their rows, and rows of models that nobody offers at the moment. */
export function joined(
  offered: readonly Offered[],
  rows: readonly Row[],
  connections: readonly Connection[] = [],
): BaseModel[] {
  const byId = new Map(rows.map((row) => [row.id, row]));
  const names = new Set(offered.map((one) => one.id));
  const taken = new Set<string>();
  const found = offered.map((one) => {
    const other = otherSpelling(one.id);
    // A row named without `:latest` governs that model, unless a backend offers the plain name as well.
    const row = byId.get(one.id) ?? (names.has(other) ? undefined : byId.get(other)) ?? null;
    if (row) taken.add(row.id);
    return baseModel(one, row, connections);
  });
  for (const row of rows) if (!taken.has(row.id)) found.push(baseModel({ id: row.id }, row, []));
  return found;
}

function baseModel(offered: Offered, row: Row | null, connections: readonly Connection[]): BaseModel {
  const kind = offered.owned_by ?? null;
  const ofKind = connections.filter((connection) => connection.kind === kind);
  return {
    subject: {
      id: offered.id,
      rowId: row?.id ?? offered.id,
      name: row?.name ?? offered.name ?? offered.id,
      isBase: true,
      row,
      active: row?.is_active ?? true,
      hidden: row?.meta.hidden === true,
      editable: true,
      changeable: row?.source !== "file",
      offered: kind !== null,
    },
    kind,
    connection: (offered.urlIdx === undefined ? undefined : ofKind[offered.urlIdx]) ?? null,
    labels: (offered.tags ?? []).map((tag) => tag.name),
  };
}

/** The base models among what somebody who is no administrator may use: to be read, not changed. */
export function usableBases(entries: readonly Offered[]): BaseModel[] {
  return entries
    .filter((entry) => !entry.preset && !entry.arena)
    .map((entry) => {
      const made = baseModel(entry, null, []);
      const hidden = entry.info?.meta?.hidden === true;
      return { ...made, subject: { ...made.subject, hidden, editable: false, changeable: false } };
    });
}

const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

/** Those whose name, id, connection or kind holds every word of the query, by name. */
export function arranged(all: readonly BaseModel[], query: string, descending: boolean): BaseModel[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const matching = all.filter(({ subject, kind, connection, labels }) => {
    const parts = [subject.name, subject.id, kind ?? "", connection?.name ?? "", ...labels];
    const about = parts.join("\n").toLowerCase();
    return words.every((word) => about.includes(word));
  });
  const sign = descending ? -1 : 1;
  return matching.sort(
    (a, b) => sign * collator.compare(a.subject.name, b.subject.name) || (a.subject.id < b.subject.id ? -1 : 1),
  );
}

/** Who may use it, in a word or two. */
export function openTo(model: BaseModel): string {
  const row = model.subject.row;
  if (!row || !row.access_grants.length) return text.base.administrators;
  const { people, groups } = audience(row.access_grants);
  return isPublic(row.access_grants) ? text.base.everyone : text.base.granted(people, groups);
}

/** The kind of backend and the labels of its connection, in words; empty when nobody offers it. */
export function offeredBy(model: BaseModel): string {
  if (model.kind === null) return "";
  return [text.base.offers[model.kind] ?? model.kind, ...model.labels].join(" · ");
}
