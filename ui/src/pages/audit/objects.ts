/** What an entry is about, in words, and where it can be seen. */
import type { Schemas } from "$api/client";
import { p } from "$app/router";
import { nameIn } from "$parts/changes";
import { audit } from "$text/audit";

export type Entry = Schemas["Entry"];

/** Names of objects by their ids, as far as the lists of the kinds are known. */
export type Names = Record<string, Map<string, string> | undefined>;

const verbOf = (action: string) => action.slice(action.indexOf(".") + 1);

export function actionName(action: string): string {
  return audit.verbs[verbOf(action)] ?? action;
}

export function kindName(kind: string): string {
  return audit.kinds[kind] ?? kind;
}

export function objectName(entry: Entry, names: Names): string {
  return nameIn(entry.changes, ["name", "email"]) ?? names[entry.entity_type]?.get(entry.entity_id) ?? ownName(entry);
}

/** Of what has no name of its own. */
function ownName({ entity_type: kind, entity_id: id }: Entry): string {
  if (kind === "yard") return audit.revision(id);
  return (kind === "settings" ? audit.settings[id] : audit.single[kind]) ?? id;
}

export function actorName(entry: Pick<Entry, "user" | "user_id">): string {
  return entry.user?.name || entry.user?.email || audit.actors[entry.user_id] || entry.user_id;
}

/** Whether what the entry is about may still be there to be opened. */
const isThere = (entry: Entry) => !["deleted", "revoked", "ended"].includes(verbOf(entry.action));

/** The page of the object; null when it has none, or is gone. */
export function objectLink(entry: Entry): string | null {
  if (!isThere(entry)) return null;
  const search = { id: entry.entity_id };
  switch (entry.entity_type) {
    case "model":
      return p("/models/edit", { search });
    case "connection":
      return p("/connections", { search });
    case "user":
      return p("/people", { search });
    case "group":
      return p("/people/groups", { search });
    case "key":
      return p("/keys", { search });
    case "settings":
      return entry.entity_id === "permissions" ? p("/people/permissions") : p("/settings");
    case "yard":
      return p("/yard", { search: { view: "revisions", id: entry.entity_id } });
    default:
      return null;
  }
}

export function historyLink(entry: Entry): string | null {
  return entry.entity_type === "model" && isThere(entry)
    ? p("/models/history", { search: { id: entry.entity_id } })
    : null;
}

/** Which side of its fields an entry has. */
export function sideOf(action: string): "create" | "update" | "delete" {
  const verb = verbOf(action);
  return verb === "created" ? "create" : verb === "deleted" ? "delete" : "update";
}
