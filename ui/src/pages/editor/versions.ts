/** Versions of a model. */
import type { Schemas } from "$api/client";
import { editor } from "$text/editor";
import { fieldName } from "./field-names";

/** Who made a version: a person, a program, or an account that is gone. */
export const authorOf = (version: Schemas["Version"]): string =>
  version.user?.name ?? editor.versions.programs[version.user_id] ?? editor.versions.gone;

const NAMED = 2;

/** What its author said of it; else which fields it changed. */
export function titleOf(version: Schemas["Version"]): string {
  if (version.commit_message) return version.commit_message;
  const names = [...new Set(version.changed.map(fieldName))];
  if (!names.length) return version.parent_id === null ? editor.versions.first : editor.versions.saved;
  const first = names.slice(0, NAMED).join(", ");
  return names.length > NAMED ? editor.versions.more(first, names.length - NAMED) : first;
}
