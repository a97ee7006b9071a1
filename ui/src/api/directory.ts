/** Queries that several pages ask alike, each under one key: whatever is kept under it has one shape. */
import { api, body, json } from "./client";
import { session } from "$app/session.svelte";

type Asking = { signal: AbortSignal };

/** For administrators: names and roles by id. Others get none. */
export const everybody = () => ({
  queryKey: ["users", "all"],
  queryFn: ({ signal }: Asking) => body(api.GET("/api/v1/users/all", { signal })),
  enabled: session.isAdministrator,
  staleTime: 30_000,
});

/** People whom the person may share with, or an administrator look for. */
export const peopleFound = (query: string) => ({
  queryKey: ["users", "search", query],
  queryFn: ({ signal }: Asking) => body(api.GET("/api/v1/users/search", { params: { query: { query } }, signal })),
});

export const allGroups = () => ({
  queryKey: ["groups"],
  queryFn: ({ signal }: Asking) => body(api.GET("/api/v1/groups/", { signal })),
});

export const allConnections = () => ({
  queryKey: ["connections"],
  queryFn: ({ signal }: Asking) => body(api.GET("/api/v1/connections", { signal })),
});

export const allKeys = () => ({
  queryKey: ["keys"],
  queryFn: ({ signal }: Asking) => body(api.GET("/api/v1/keys", { signal })),
});

export const defaultPermissions = () => ({
  queryKey: ["permissions"],
  queryFn: ({ signal }: Asking) => body(api.GET("/api/v1/users/default/permissions", { signal })),
});

export const modelTags = () => ({
  queryKey: ["models", "tags"],
  queryFn: ({ signal }: Asking) => body(api.GET("/api/v1/models/tags", { signal })),
});

/** A model's row. */
export const storedModel = (id: string) => ({
  queryKey: ["model", id],
  queryFn: ({ signal }: Asking) => body(api.GET("/api/v1/models/model", { params: { query: { id } }, signal })),
});

/** What the person can call, presets and arenas among it. `Entry` is what the page reads of each; `select` narrows it. */
export const callableModels = <Entry extends { id: string } = { id: string; name: string }>() => ({
  queryKey: ["chat-models"],
  queryFn: ({ signal }: Asking) => listed<Entry>("/api/models", signal),
});

/** What the backends offer, for administrators. */
export const offeredModels = <Entry extends { id: string }>() => ({
  queryKey: ["models", "offered"],
  queryFn: ({ signal }: Asking) => listed<Entry>("/api/models/base", signal),
});

async function listed<Entry>(path: string, signal: AbortSignal): Promise<Entry[]> {
  return (await json<{ data: Entry[] }>(path, { signal })).data;
}

const MONTH_SECONDS = 30 * 86_400;
const MOST_PAGES = 20;

/** Calls in the last 30 days by `key` or `user`. */
export const callsBy = (dimension: "key" | "user") => ({
  queryKey: ["usage", "calls", dimension],
  queryFn: async ({ signal }: { signal: AbortSignal }) => {
    const calls = new Map<string, number>();
    const from = String(Math.floor(Date.now() / 1000) - MONTH_SECONDS);
    let after: string | undefined;
    for (let page = 0; page < MOST_PAGES; page += 1) {
      const query = { group_by: dimension, from, ...(after === undefined ? {} : { after }) };
      const part = await body(api.GET("/api/v1/usage", { params: { query }, signal }));
      for (const item of part.items) calls.set(String(item[dimension]), Number(item.calls));
      if (part.next === null) break;
      after = part.next;
    }
    return calls;
  },
  staleTime: 60_000,
});
