/** What a form about a key holds, and what of it is sent. */
import type { Schemas } from "$api/client";
import { expiryOf, type ExpiryChoice, type Key } from "./key";

export interface KeyDraft {
  name: string;
  /** Empty: the person who makes it. */
  userId: string;
  models: string[];
  dialects: Dialect[];
  expiry: ExpiryChoice;
  date: string;
  limits: { rpm: number | null; tpm: number | null; concurrency: number | null };
}
export type Dialect = "openai" | "anthropic" | "ollama";
export const dialects: readonly Dialect[] = ["openai", "anthropic", "ollama"];

export const blank = (): KeyDraft => ({
  name: "",
  userId: "",
  models: [],
  dialects: [],
  expiry: "never",
  date: "",
  limits: { rpm: null, tpm: null, concurrency: null },
});

export const draftOf = (key: Key): KeyDraft => ({
  name: key.name,
  userId: key.user_id,
  models: [...(key.models ?? [])],
  dialects: dialects.filter((dialect) => key.dialects?.includes(dialect)),
  expiry: "keep",
  date: "",
  limits: {
    rpm: key.limits.rpm ?? null,
    tpm: key.limits.tpm ?? null,
    concurrency: key.limits.concurrency ?? null,
  },
});

/** What is common to making and changing. */
export type SentKey = Schemas["KeyPatch"] & { expires_at: number | null };

/** `expires_at` is NaN for a day that is none. An empty list means all. */
export function sent(draft: KeyDraft, kept: number | null, now: number): SentKey {
  return {
    name: draft.name.trim(),
    models: draft.models.length ? draft.models : null,
    dialects: draft.dialects.length ? draft.dialects : null,
    limits: draft.limits,
    expires_at: expiryOf(draft.expiry, draft.date, kept, now),
  };
}

/** The fields of a form that are not as they were: what somebody else changed meanwhile stays. */
export function differing(form: SentKey, was: SentKey): Schemas["KeyPatch"] {
  const names = Object.keys(form) as (keyof SentKey)[];
  const found = names.filter((name) => JSON.stringify(form[name]) !== JSON.stringify(was[name]));
  // No field is required of a change, which the document does not say of the name: it has an empty one by default.
  return Object.fromEntries(found.map((name) => [name, form[name]])) as Schemas["KeyPatch"];
}
