/** Versions of a model. */
import type { Schemas } from "$api/client";
import { editor } from "$text/editor";

/** Who made a version: a person, a program, or an account that is gone. */
export const authorOf = (version: Schemas["Version"]): string =>
  version.user?.name ?? editor.versions.programs[version.user_id] ?? editor.versions.gone;
