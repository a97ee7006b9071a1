/** What each card asks, and how often: its own question, so that one that fails leaves the others alone. */
import { api, body, json, type Schemas } from "$api/client";
import { callableModels } from "$api/directory";
import { firstModel } from "$pages/welcome/first-model";
import { changesOf } from "./changed";
import { beginning, rowsOf, total, type Period, type Row } from "./figures";
import type { Running } from "./memory";

type Asking = { signal: AbortSignal };
const OFTEN_MS = 10_000;
/** Of a report, each with a thousand values: nobody calls more models than that in a day. */
const MOST_PAGES = 10;

type Dimension = "status" | "model" | "connection";

export const usage = (dimension: Dimension, period: Period) => ({
  queryKey: ["usage", dimension, period],
  queryFn: ({ signal }: Asking) => report(dimension, period, signal),
  refetchInterval: OFTEN_MS,
});

export const calls = {
  queryKey: ["usage", "totals"],
  queryFn: async ({ signal }: Asking) => {
    const [now, today] = await Promise.all([report("status", "now", signal), report("status", "today", signal)]);
    return { now: total(now), today: total(today) };
  },
  refetchInterval: OFTEN_MS,
};

async function report(dimension: Dimension, period: Period, signal: AbortSignal): Promise<Row[]> {
  const from = String(beginning(period));
  const rows: Row[] = [];
  let after: string | null = null;
  for (let page = 0; page < MOST_PAGES && (page === 0 || after !== null); page += 1) {
    const query = { group_by: dimension, from, ...(after === null ? {} : { after }) };
    const answer: Schemas["Usage"] = await body(api.GET("/api/v1/usage", { params: { query }, signal }));
    rows.push(...rowsOf(answer, dimension));
    after = answer.next;
  }
  return rows;
}

interface Callable {
  id: string;
  name: string;
  arena?: boolean;
}

/** Models that can be called, what they are called, and the one with which somebody would begin. */
export const callable = {
  ...callableModels<Callable>(),
  select: (models: readonly Callable[]) => ({
    // An arena is no model: it stands for others.
    count: models.filter((model) => !model.arena).length,
    first: firstModel(models.map((model) => model.id)),
  }),
  refetchInterval: 3 * OFTEN_MS,
};

export const presets = {
  queryKey: ["models", "overview"],
  queryFn: async ({ signal }: Asking) =>
    (await body(api.GET("/api/v1/models/list", { params: { query: { limit: 1 } }, signal }))).counts.all,
};

export const memory = {
  queryKey: ["states", "overview"],
  queryFn: async ({ signal }: Asking) => {
    const [running, states] = await Promise.all([
      json<{ models: Running[] }>("/api/ps", { signal }),
      body(api.GET("/api/v1/models/state", { signal })),
    ]);
    return { running: running.models, states: states.items };
  },
  refetchInterval: OFTEN_MS,
};

/** How many people have signed up and wait to be let in. */
export const waitingPeople = {
  queryKey: ["users", "waiting", "count"],
  queryFn: async ({ signal }: Asking) =>
    (await body(api.GET("/api/v1/users/", { params: { query: { role: "pending", limit: 1 } }, signal }))).total,
  refetchInterval: 3 * OFTEN_MS,
};

export const changes = {
  queryKey: ["audit", "overview"],
  queryFn: async ({ signal }: Asking) =>
    changesOf((await body(api.GET("/api/v1/audit", { params: { query: { limit: 100 } }, signal }))).items),
  refetchInterval: 3 * OFTEN_MS,
};

/** The key that the setup makes by itself. */
const FIRST_KEY = "first key";

export interface Steps {
  preset: boolean;
  person: boolean;
  key: boolean;
}

export function stepsOf(presets: number, people: readonly Schemas["User"][], keys: readonly Schemas["Key"][]): Steps {
  const invited = people.filter((one) => one.kind === "person" && one.source !== "environment");
  return {
    preset: presets > 0,
    // The first of them is who looks at this list.
    person: invited.length > 1,
    key: keys.some((key) => key.source !== "environment" && key.name !== FIRST_KEY),
  };
}

export const steps = {
  queryKey: ["checklist"],
  queryFn: async ({ signal }: Asking): Promise<Steps> => {
    const [models, users, keys] = await Promise.all([
      body(api.GET("/api/v1/models/list", { params: { query: { limit: 1 } }, signal })),
      body(api.GET("/api/v1/users/", { params: { query: { limit: 5 } }, signal })),
      body(api.GET("/api/v1/keys", { signal })),
    ]);
    return stepsOf(models.counts.all, users.items, keys.items);
  },
  // What was done on another page is ticked as soon as one comes back.
  staleTime: 0,
};
