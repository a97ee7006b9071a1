/** What reports of usage hold. */
import type { Schemas } from "$api/client";

/** One row of a report: the value of its dimension, and what was counted. */
export interface Row {
  value: string;
  calls: number;
  /** Calls that did not end well, for whatever reason. */
  errors: number;
  tokens: number;
}

export function rowsOf(usage: Schemas["Usage"], dimension: string): Row[] {
  return usage.items.map((item) => ({
    value: String(item[dimension] ?? ""),
    calls: Number(item.calls),
    errors: Number(item.errors),
    tokens: Number(item.tokens),
  }));
}

/** Ways to end that somebody should look at; a caller who went away is none. */
const FAULTS = ["error", "cut"];

/** The sums over calls by how they ended. */
export function total(rows: readonly Row[]): Omit<Row, "value"> {
  const sum = (of: "calls" | "tokens") => rows.reduce((so, row) => so + row[of], 0);
  const errors = rows.filter((row) => FAULTS.includes(row.value)).reduce((so, row) => so + row.calls, 0);
  return { calls: sum("calls"), errors, tokens: sum("tokens") };
}

/** The most called first; equals by name, so that the order does not jump. */
export const mostCalled = (rows: readonly Row[], count?: number): Row[] =>
  [...rows].sort((one, other) => other.calls - one.calls || one.value.localeCompare(other.value)).slice(0, count);

/** When a period began, in seconds since 1970: the last minutes, or midnight where the reader is. */
export type Period = "now" | "today";
const NOW_SECONDS = 300;

export function beginning(period: Period, at = new Date()): number {
  if (period === "now") return Math.floor(at.getTime() / 1000) - NOW_SECONDS;
  return Math.floor(new Date(at.getFullYear(), at.getMonth(), at.getDate()).getTime() / 1000);
}
