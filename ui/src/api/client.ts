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
    const text = await response.text();
    throw refused(response, parsed(text));
  },
  onError({ error }) {
    return error instanceof Problem || isAbort(error) ? undefined : new Problem(0, general.problem.noAnswer);
  },
};

export const api = createClient<paths>({ baseUrl: root, fetch: (request) => fetch(request) });
api.use(problems);

/** The body of a call that must have one: `await body(api.GET("/api/v1/keys"))`. */
export async function body<T>(call: Promise<{ data?: T }>): Promise<T> {
  try {
    return (await call).data as T;
  } catch (error) {
    throw broken(error);
  }
}

/** A request outside the management API: model calls, lists, downloads. Raises Problem. */
export async function send(path: string, init?: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(root + path, init);
  } catch (error) {
    throw isAbort(error) ? error : new Problem(0, general.problem.noAnswer);
  }
  if (!response.ok) throw refused(response, parsed(await response.text()));
  return response;
}

/** The JSON of such a request. Raises Problem. */
export async function json<T>(path: string, init?: RequestInit): Promise<T> {
  const response = await send(path, init);
  try {
    return (await response.json()) as T;
  } catch (error) {
    throw broken(error);
  }
}

const isAbort = (error: unknown) => error instanceof DOMException && error.name === "AbortError";

/** An answer that began well, and then broke off or is no JSON. */
const broken = (error: unknown) =>
  error instanceof Problem || isAbort(error) ? error : new Problem(0, general.problem.brokenAnswer);

function refused(response: Response, told: unknown): Problem {
  // The sign-in form answers 401 itself; any other means that the session has ended.
  const ended = response.status === 401 && !response.url.endsWith("/auths/signin");
  if (ended) session.ended();
  const problem = problemOf(response, told);
  return ended ? new Problem(401, general.problem.signedOut, {}, problem.requestId) : problem;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
