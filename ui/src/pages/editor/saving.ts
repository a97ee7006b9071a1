/** What is sent when a draft is saved, and where on the form a refusal belongs. */
import type { Schemas } from "$api/client";
import type { Problem } from "$api/problem";
import { canonical } from "$parts/changes";
import { editor } from "$text/editor";
import type { Draft, Fields } from "./draft.svelte";
import { hasBlank } from "./naming";

export function formOf(content: Fields, message: string): Schemas["ModelForm"] {
  return { ...content, ...(message ? { commit_message: message } : {}) } as Schemas["ModelForm"];
}

/** Access, activity and hiding travel only when they were changed here: they belong to no version, so nobody would be told of a
 * conflict. Hiding is a part of `meta`, and stays as it is beside a version when it is left out. */
export function updateOf(draft: Draft, message: string): Schemas["ModelUpdate"] {
  const { access_grants, is_active, base_model_id, ...content } = draft.content;
  const { saved } = draft;
  const { hidden, ...meta } = content.meta;
  const isHidingMine = !draft.version || hidden !== saved.meta.hidden;
  return {
    ...content,
    meta: isHidingMine ? content.meta : meta,
    ...(base_model_id === saved.base_model_id ? {} : { base_model_id }),
    ...(is_active === saved.is_active ? {} : { is_active }),
    ...(canonical(access_grants) === canonical(saved.access_grants) ? {} : { access_grants }),
    ...(message ? { commit_message: message } : {}),
    ...(draft.version ? { version_id: draft.version } : {}),
  };
}

/** What is missing before anything need be sent, by field. */
export function missing(fields: Fields, preset: boolean, isNew: boolean): Record<string, string> {
  const found: Record<string, string> = {};
  if (!fields.name.trim()) found.name = editor.nameMissing;
  if (!fields.id) found.id = editor.idMissing;
  // A base model and what was made long ago keep theirs.
  else if (preset && isNew && hasBlank(fields.id)) found.id = editor.idSpaces;
  if (preset && !fields.base_model_id) found.base_model_id = editor.baseMissing;
  return found;
}

/** Messages by field; empty when the refusal belongs to none. */
export function faultsOf(problem: Problem, isNew: boolean): Record<string, string> {
  if (Object.keys(problem.fields).length) return problem.fields;
  if (isNew && problem.status === 409) return { id: problem.message };
  const field = /^(?:params|meta)\.\w+/.exec(problem.message)?.[0];
  return field ? { [field]: problem.message } : {};
}
