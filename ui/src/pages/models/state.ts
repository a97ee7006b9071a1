/** The one word that says how a model stands: from its row, and from what was loaded and unloaded last. */
import type { Schemas } from "$api/client";

type StateName = "disabled" | "offline" | "loading" | "unloading" | "loaded" | "failed" | "active";

export interface ModelState {
  name: StateName;
  /** Why it failed, and where; for administrators. */
  reason: string | null;
  /** True when a load or unload is under way. */
  moving: boolean;
}

export type KnownState = Schemas["State"];

/** The more a state says about now, the earlier it stands: one host may have failed while another answers. */
const SAID_FIRST = ["loading", "unloading", "loaded", "failed"] as const;

/** States by the id of the model. */
export function statesById(items: readonly KnownState[]): Map<string, KnownState[]> {
  const found = new Map<string, KnownState[]>();
  for (const item of items) {
    const known = found.get(item.model_id);
    if (known) known.push(item);
    else found.set(item.model_id, [item]);
  }
  return found;
}

/** How a row stands. `offered`: a backend offers what it stands on. */
export function stateOf(active: boolean, offered: boolean, known: readonly KnownState[] = []): ModelState {
  const first = SAID_FIRST.map((name) => known.find((one) => one.state === name)).find(Boolean);
  const moving = first?.state === "loading" || first?.state === "unloading";
  if (!active) return { name: first?.state === "unloading" ? "unloading" : "disabled", reason: null, moving };
  if (!offered) return { name: "offline", reason: null, moving: false };
  if (!first) return { name: "active", reason: null, moving: false };
  const reason = first.reason && first.connection ? `${first.connection}: ${first.reason}` : first.reason;
  return { name: first.state as StateName, reason: first.state === "failed" ? reason : null, moving };
}

/** Whether loading it may come to something: not when every backend of it has said that it cannot. */
export function loadable(known: readonly KnownState[] = []): boolean {
  return !known.length || known.some((one) => one.state !== "not_supported");
}

/** Dot and pulse of each state. */
export const MEANINGS = {
  disabled: "neutral",
  offline: "warn",
  loading: "info",
  unloading: "info",
  loaded: "good",
  failed: "bad",
  active: "good",
} as const;
