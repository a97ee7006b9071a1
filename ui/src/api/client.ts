/** The management API, typed by its own OpenAPI document (`schema.d.ts` is generated: `make client`). */
import createClient, { type Middleware } from "openapi-fetch";
import { root } from "$app/place";
import { session } from "$app/session.svelte";
import { general } from "$text/general";
import { Problem, problemOf } from "./problem";
import type { components, paths } from "./schema";

export type Schemas = components["schemas"];

/** An answer that is not a success becomes a Problem, so that no caller can overlook it. */
const problems: Middleware = {
  async onResponse({ response }) {
    if (response.ok) return undefined;
    throw await refused(response);
  },
  onError({ error }) {
    return error instanceof Problem || isAbort(error) ? undefined : new Problem(0, general.problem.noAnswer);
  },
};

const client = createClient<paths>({ baseUrl: root, fetch: (request) => fetch(request) });
client.use(problems);

const { GET, POST, PATCH, DELETE } = client;
/** Its calls raise Problem and nothing else, unless they are aborted. */
export const api = { GET: told(GET), POST: told(POST), PATCH: told(PATCH), DELETE: told(DELETE) };

/** The call as it is, of which also an answer that breaks off is a Problem. */
function told<Call extends (...sent: never[]) => Promise<unknown>>(call: Call): Call {
  return ((...sent: Parameters<Call>) => read(call(...sent))) as Call;
}

/** The body of a call that must have one: `await body(api.GET("/api/v1/keys"))`. Raises Problem. */
export async function body<T>(call: Promise<{ data?: T }>): Promise<T> {
  return (await call).data as T;
}

/** A request outside the management API: model calls, lists, downloads. Raises Problem. */
export async function send(path: string, init?: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(root + path, init);
  } catch (error) {
    throw isAbort(error) ? error : new Problem(0, general.problem.noAnswer);
  }
  if (!response.ok) throw await refused(response);
  return response;
}

/** What `send` brought, as text. Raises Problem. */
export async function text(path: string, init?: RequestInit): Promise<string> {
  const response = await send(path, init);
  return read(response.text());
}

/** What `send` brought, as JSON. Raises Problem. */
export async function json<T>(path: string, init?: RequestInit): Promise<T> {
  const response = await send(path, init);
  return read(response.json() as Promise<T>);
}

/** An answer that breaks off, or is not what was asked for: the server may well have done what it was asked to do. */
async function read<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw error instanceof Problem || isAbort(error) ? error : new Problem(0, general.problem.brokenAnswer);
  }
}

const isAbort = (error: unknown): boolean => error instanceof DOMException && error.name === "AbortError";

async function refused(response: Response): Promise<Problem> {
  // The sign-in form answers 401 itself; any other means that the session has ended.
  const ended = response.status === 401 && !response.url.endsWith("/auths/signin");
  if (ended) session.ended();
  const problem = problemOf(response, await response.text().catch(() => ""));
  return ended ? new Problem(401, general.problem.signedOut, {}, problem.requestId) : problem;
}
