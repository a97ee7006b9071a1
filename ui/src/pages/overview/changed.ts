/** What an entry of the audit log is about, by a name that people know. */
import type { Schemas } from "$api/client";

const NAMES = ["name", "email", "id"];
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-/;

/** The object's name where the entry holds it; the id of a model, which is a name; else nothing. */
export function changedName(entry: Pick<Schemas["Entry"], "changes" | "entity_type" | "entity_id">): string {
  for (const field of NAMES) {
    const change = entry.changes?.[field] as { old?: unknown; new?: unknown } | undefined;
    const name = change?.new ?? change?.old;
    if (typeof name === "string" && name) return name;
  }
  return entry.entity_type === "model" && !UUID.test(entry.entity_id) ? entry.entity_id : "";
}
