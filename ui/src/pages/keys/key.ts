/** What a list of keys says about each: its state, whether a search finds it, and the times that forms offer. */
import type { Schemas } from "$api/client";
import { compact } from "$parts/numbers";

export type Key = Schemas["Key"];
type KeyState = "active" | "ending" | "expired" | "empty";
export type ExpiryChoice = "keep" | "never" | "days30" | "days90" | "date";

const DAY = 86_400;

/** `now` in Unix seconds, as everywhere here. */
export function stateOf(key: Key, now: number): KeyState {
  if (key.expires_at !== null && key.expires_at <= now) return "expired";
  if (key.replaced_by) return "ending";
  return key.hint ? "active" : "empty";
}

/** Every word of the text is somewhere in the key's name, its characters, its owner or its models. */
export function found(key: Key, owner: string, text: string): boolean {
  const told = [key.name, key.hint, key.id, owner, ...(key.models ?? [])].join("\n").toLowerCase();
  return text
    .toLowerCase()
    .split(/\s+/)
    .every((word) => told.includes(word));
}

/** When a key ends, from what a form says; `date` is `2030-12-31`, whose end in the reader's zone counts. NaN: no such day. */
export function expiryOf(choice: ExpiryChoice, date: string, kept: number | null, now: number): number | null {
  switch (choice) {
    case "keep":
      return kept;
    case "never":
      return null;
    case "days30":
      return Math.floor(now) + 30 * DAY;
    case "days90":
      return Math.floor(now) + 90 * DAY;
    case "date": {
      const end = date ? Math.floor(new Date(`${date}T23:59:59`).getTime() / 1000) : NaN;
      return end > now ? end : NaN;
    }
  }
}

/** A command that tries a key. */
export function tryLine(address: string, secret: string): string {
  return `curl ${address}/v1/models -H "Authorization: Bearer ${secret}"`;
}

/** Limits in few words: `60/min · 100k tok/min · 4 at once`; empty for none. */
export function limitsInWords(limits: Schemas["KeyLimits"], units: { rpm: string; tpm: string; concurrency: string }) {
  return [
    limits.rpm ? `${compact(limits.rpm)} ${units.rpm}` : "",
    limits.tpm ? `${compact(limits.tpm)} ${units.tpm}` : "",
    limits.concurrency ? `${compact(limits.concurrency)} ${units.concurrency}` : "",
  ]
    .filter(Boolean)
    .join(" · ");
}
