/** Queries that several pages ask alike: everybody in short, all groups, the models that can be called, usage by one dimension. */
import { api, body, send } from "./client";
import { session } from "$app/session.svelte";

/** A model of the list that chats choose from; only what choosing needs. */
export interface ListedModel {
  id: string;
  name: string;
}

/** For administrators: names and roles by id. Others get none. */
export const everybody = () => ({
  queryKey: ["users", "all"],
  queryFn: ({ signal }: { signal: AbortSignal }) => body(api.GET("/api/v1/users/all", { signal })),
  enabled: session.isAdministrator,
  staleTime: 30_000,
});

export const allGroups = () => ({
  queryKey: ["groups"],
  queryFn: ({ signal }: { signal: AbortSignal }) => body(api.GET("/api/v1/groups/", { signal })),
});

export const callableModels = () => ({
  queryKey: ["chat-models", "names"],
  queryFn: async ({ signal }: { signal: AbortSignal }) => {
    const answer = await send("/api/models", { signal });
    const { data } = (await answer.json()) as { data: ListedModel[] };
    return data.map(({ id, name }) => ({ id, name }));
  },
});

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
