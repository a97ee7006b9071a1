/** What is typed and said in the playground, kept over a reload of the page: in this tab, for this person, without
 * images. */
import type { Kept } from "./message.svelte";
import { defaults, type Settings } from "./params";

export interface Draft {
  input: string;
  settings: Settings;
  /** The messages of each pane, in their order. */
  panes: Kept[][];
}

const PREFIX = "modelyard.playground.";
const LONGEST = 1_000_000;

export function keepDraft(person: string, draft: Draft): void {
  const size = draft.panes.flat().reduce((sum, { text, thinking }) => sum + text.length + thinking.length, 0);
  const text = JSON.stringify(size > LONGEST ? { ...draft, panes: [] } : draft);
  try {
    if (text.length > 2 * LONGEST) sessionStorage.removeItem(PREFIX + person);
    else sessionStorage.setItem(PREFIX + person, text);
  } catch {
    // No room, or storage is switched off: then nothing is kept.
  }
}

export function keptDraft(person: string): Draft {
  try {
    forgetOthers(person);
    const draft = JSON.parse(sessionStorage.getItem(PREFIX + person) ?? "null") as Partial<Draft> | null;
    return {
      input: draft?.input ?? "",
      settings: { ...defaults(), ...draft?.settings },
      panes: draft?.panes ?? [],
    };
  } catch {
    return { input: "", settings: defaults(), panes: [] };
  }
}

/** Somebody else who signs in at this tab does not find what was said before. */
function forgetOthers(person: string): void {
  for (const name of Object.keys(sessionStorage)) {
    if (name.startsWith(PREFIX) && name !== PREFIX + person) sessionStorage.removeItem(name);
  }
}
