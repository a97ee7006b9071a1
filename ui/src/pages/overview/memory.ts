/** What is in memory where, from both who knows: the backends, and Modelyard's own loading and unloading. */
import type { Schemas } from "$api/client";
import type { Connection } from "$pages/connections/draft";
import { otherSpelling } from "$api/model-names";
import { offeredBy } from "$pages/connections/state";

type State = Schemas["State"];

/** A row of `/api/ps`, as far as it is used. */
export interface Running {
  name: string;
  expires_at?: string;
}

interface Held {
  model: string;
  state: string;
  connection: string | null;
  /** Since when, in seconds since 1970; null: the backend does not say. */
  at: number | null;
  /** Until when it stays when nobody calls it. */
  until: number | null;
}

/** States that tell of something in memory, or on its way there or away. One that failed is a job's news. */
const SHOWN = ["loading", "loaded", "unloading"];

/** A model may be on several connections: each of its states is a row of its own. */
export function held(
  running: readonly Running[],
  states: readonly State[],
  connections: readonly Connection[] = [],
): Held[] {
  const left = states.filter((state) => SHOWN.includes(state.state));
  const found = running.map((model): Held => {
    const names = [model.name, otherSpelling(model.name)];
    const at = left.findIndex((state) => names.includes(state.model_id));
    const [state] = at < 0 ? [] : left.splice(at, 1);
    const until = Date.parse(model.expires_at ?? "") / 1000;
    return {
      model: model.name,
      state: state?.state === "unloading" ? "unloading" : "loaded",
      connection: state?.connection ?? onlyOne(names, connections),
      at: state?.updated_at ?? null,
      until: Number.isFinite(until) ? until : null,
    };
  });
  const others = left.map((state): Held => ({
    model: state.model_id,
    state: state.state,
    connection: state.connection,
    at: state.updated_at,
    until: null,
  }));
  return [...found, ...others].sort((one, other) => one.model.localeCompare(other.model));
}

/** The connection that offers a model, when there is one only: what runs then runs there. */
function onlyOne(names: readonly string[], connections: readonly Connection[]): string | null {
  const offering = connections.filter((row) => row.enable && offeredBy(row).some((name) => names.includes(name)));
  return offering.length === 1 ? (offering[0]?.name ?? null) : null;
}
