/** What entries of the audit log are about, by names that people know. */
import type { Schemas } from "$api/client";
import { actorName, objectName, type Names } from "$pages/audit/objects";
import { overview } from "$text/overview";

const MOST_SHOWN = 5;
/** Entries that change nothing: people come and go all day. */
const PASSING = ["user.signed_in", "user.signed_out", "audit.began"];

/** The newest entries that tell of a change. */
export const changesOf = (entries: readonly Schemas["Entry"][]): Schemas["Entry"][] =>
  entries.filter((entry) => !PASSING.includes(entry.action)).slice(0, MOST_SHOWN);

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-/;
const known = (name: string): string => (UUID.test(name) ? "" : name);

/** What it is called; nothing for what has no name but its id. */
export const changedName = (entry: Schemas["Entry"], names: Names): string => known(objectName(entry, names));

export const changedBy = (entry: Schemas["Entry"]): string => known(actorName(entry)) || overview.changes.somebody;
