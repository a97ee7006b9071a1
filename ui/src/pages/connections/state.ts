/** What is known of a connection, and what is found out about what depends on it. */
import { otherSpelling } from "$api/model-names";
import type { Connection } from "./draft";

export type State = "off" | "up" | "down" | "waiting";
export const meanings = { off: "neutral", up: "good", down: "bad", waiting: "info" } as const;

export function stateOf(row: Connection): State {
  if (!row.enable) return "off";
  if (row.error) return "down";
  return row.models_age === null ? "waiting" : "up";
}

const RANKS: Record<State, number> = { down: 0, waiting: 1, up: 2, off: 3 };

/** Those that somebody has to look at come first; otherwise they keep their order. */
export const worstFirst = (rows: readonly Connection[]): Connection[] =>
  [...rows].sort((one, other) => RANKS[stateOf(one)] - RANKS[stateOf(other)]);

/** The cause of a fault without the address, which is shown beside it: of "http://gpu:8000 could not be reached: the
 * connection was refused", only what comes after the colon. */
export function causeOf(error: string): string {
  const cause = error.replace(/^https?:\/\/\S+ (?:could not be reached: )?/, "");
  return sentence(cause || error);
}

export const sentence = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1);

/** When its list of models was had, in seconds since 1970; null: never. `read` is when the server told the age. */
export function listedAt(row: Connection, read: number): number | null {
  return row.models_age === null ? null : read - row.models_age;
}

/** The names by which callers know its models. Without a list the allow-list stands in for it, as on the server. */
export function offeredBy(row: Connection): string[] {
  const allowed = new Set(row.model_ids);
  const isAllowed = (name: string) => allowed.has(name) || allowed.has(otherSpelling(name));
  const listed = row.models.length ? row.models.filter((name) => !allowed.size || isAllowed(name)) : row.model_ids;
  return listed.map((name) => (row.prefix_id ? `${row.prefix_id}.${name}` : name));
}

/** All models of the connections that are on, each name once. */
export function offeredByAll(rows: readonly Connection[]): Set<string> {
  return new Set(rows.filter((row) => row.enable).flatMap(offeredBy));
}

/** How many presets have a base model that nobody offers once this connection is gone. */
export function presetsLost(
  row: Connection,
  rows: readonly Connection[],
  models: readonly { base_model_id: string | null }[],
): number {
  const left = offeredByAll(rows.filter((other) => other.id !== row.id));
  const lost = new Set(offeredBy(row).filter((name) => !left.has(name)));
  return models.filter((model) => model.base_model_id !== null && lost.has(model.base_model_id)).length;
}

/** Rows that hold every word of a search in what a person can see of them. */
export function matching(
  rows: readonly Connection[],
  query: string,
  kindName: (row: Connection) => string,
): Connection[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter((row) => {
    const text = [row.name, kindName(row), row.base_url, row.prefix_id ?? "", ...row.tags, row.source, stateOf(row)]
      .join(" ")
      .toLowerCase();
    return words.every((word) => text.includes(word));
  });
}
