/** What entries of the audit log are about, by names that people know. */
import type { Schemas } from "$api/client";
import { nameIn } from "$parts/changes";

const MOST_SHOWN = 5;
/** Entries that change nothing: people come and go all day. */
const PASSING = ["user.signed_in", "user.signed_out", "audit.began"];

/** The newest entries that tell of a change. */
export const changesOf = (entries: readonly Schemas["Entry"][]): Schemas["Entry"][] =>
  entries.filter((entry) => !PASSING.includes(entry.action)).slice(0, MOST_SHOWN);

const NAMES = ["name", "email", "id"];
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-/;

/** The object's name where the entry holds it; the id of a model, which is a name; else nothing. */
export function changedName(entry: Pick<Schemas["Entry"], "changes" | "entity_type" | "entity_id">): string {
  const name = nameIn(entry.changes, NAMES);
  if (name !== null) return name;
  return entry.entity_type === "model" && !UUID.test(entry.entity_id) ? entry.entity_id : "";
}
