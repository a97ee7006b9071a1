/** What is in memory where, from both who knows: the backends, and Modelyard's own loading and unloading. */
import type { Schemas } from "$api/client";

/** A row of `/api/ps`, as far as it is used. */
export interface Running {
  name: string;
  expires_at?: string;
}

export interface Held {
  model: string;
  state: string;
  connection: string | null;
  reason: string | null;
  /** Since when, in seconds since 1970; null: the backend does not say. */
  at: number | null;
  /** Until when it stays when nobody calls it. */
  until: number | null;
}

/** States that tell of something in memory, or on its way there or away. */
const SHOWN = ["loading", "loaded", "unloading", "failed"];

export function held(running: readonly Running[], states: readonly Schemas["State"][]): Held[] {
  const known = new Map(states.filter((state) => SHOWN.includes(state.state)).map((state) => [state.model_id, state]));
  const found = running.map((model): Held => {
    const state = known.get(model.name);
    known.delete(model.name);
    const until = Date.parse(model.expires_at ?? "") / 1000;
    return {
      model: model.name,
      state: state?.state === "unloading" ? "unloading" : "loaded",
      connection: state?.connection ?? null,
      reason: null,
      at: state?.updated_at ?? null,
      until: Number.isFinite(until) ? until : null,
    };
  });
  const others = [...known.values()].map((state): Held => ({
    model: state.model_id,
    state: state.state,
    connection: state.connection,
    reason: state.reason,
    at: state.updated_at,
    until: null,
  }));
  return [...found, ...others].sort((one, other) => one.model.localeCompare(other.model));
}
