/** Jobs as the tray and the overview show them: one question, so that both say the same. */
import { api, body, type Schemas } from "$api/client";
import { unfinished } from "./jobs";
import { session } from "./session.svelte";

// What runs is looked at often; without it, now and then, in case somebody else began something.
const RUNNING_MS = 1_000;
const IDLE_MS = 15_000;
/** Enough that what runs is among them, also after a burst of jobs that ended at once. */
const MOST = 50;

export const jobList = () => ({
  queryKey: ["jobs"],
  queryFn: ({ signal }: { signal: AbortSignal }) =>
    body(api.GET("/api/v1/jobs", { params: { query: { limit: MOST } }, signal })),
  enabled: session.isAdministrator && !session.lost,
  refetchInterval: (query: { state: { data: Schemas["Jobs"] | undefined } }) =>
    query.state.data?.items.some(unfinished) ? RUNNING_MS : IDLE_MS,
});

/** Finished ones up to this moment (seconds, by the server's clock) were seen. */
export const seen = $state({ until: 0 });
