/** What the pages ask of connections, under one name each. */
import { api, body } from "$api/client";
import { allConnections } from "$api/directory";

/** The state of backends changes without us: it is looked at again while somebody looks. */
const AGAIN_MS = 15_000;

type Asking = { signal: AbortSignal };

export const connectionList = {
  ...allConnections(),
  refetchInterval: AGAIN_MS,
};

export const connectionKinds = {
  queryKey: ["connection-kinds"],
  queryFn: ({ signal }: Asking) => body(api.GET("/api/v1/connections/kinds", { signal })),
  staleTime: Infinity,
};

export const foundBackends = {
  queryKey: ["found-backends"],
  queryFn: ({ signal }: Asking) => body(api.GET("/api/v1/connections/found", { signal })),
};
