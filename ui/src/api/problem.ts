/** Why a request did not succeed, as one kind of error for every page. */
import { general } from "$text/general";

/** What a fault of one field of a form looks like in a 422 answer of the management API. */
interface FieldFault {
  loc?: (string | number)[];
  msg?: string;
}

export class Problem extends Error {
  /** HTTP status; 0 when no answer came at all. */
  readonly status: number;
  /** Messages by the dotted name of the form's field, such as `limits.rpm`. */
  readonly fields: Record<string, string>;
  /** By which the server's log knows the request. */
  readonly requestId: string | null;
  /** When it may be tried again, in milliseconds since 1970. */
  readonly retryAt: number | null;
  /** The whole answer: a refused import tells in it what came of each item. */
  readonly body: unknown;

  constructor(
    status: number,
    message: string,
    fields: Record<string, string> = {},
    requestId: string | null = null,
    body: unknown = undefined,
    retryAt: number | null = null,
  ) {
    super(message);
    this.name = "Problem";
    this.status = status;
    this.fields = fields;
    this.requestId = requestId;
    this.body = body;
    this.retryAt = retryAt;
  }
}

// A sentence of ours is shorter; a page of a reverse proxy is longer.
const LONGEST_PLAIN = 500;

/** The problem that an answer tells of, in whichever dialect it was refused. `text` is its body. */
export function problemOf(response: Response, text: string): Problem {
  const requestId = response.headers.get("x-request-id");
  const body = parsed(text);
  const fields: Record<string, string> = {};
  let message = general.problem.refused(response.status);
  const detail = body === undefined ? plain(response, text) : told(body);
  if (typeof detail === "string" && detail) message = detail;
  else if (Array.isArray(detail)) {
    for (const fault of detail as FieldFault[]) {
      const name = (fault.loc ?? []).filter((part) => part !== "body" && part !== "query").join(".");
      fields[name] = fault.msg ?? "";
    }
    message = Object.entries(fields)
      .map(([name, fault]) => (name ? `${name}: ${fault}` : fault))
      .join("; ");
  }
  const seconds = Number(response.headers.get("retry-after"));
  const retryAt = seconds > 0 ? Date.now() + seconds * 1000 : null;
  return new Problem(response.status, message, fields, requestId, body ?? text, retryAt);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** A sentence. The HTML of what stands between is none. */
function plain(response: Response, text: string): string {
  const isPlain = response.headers.get("content-type")?.startsWith("text/plain") ?? false;
  return isPlain && text.length <= LONGEST_PLAIN ? text : "";
}

function told(body: unknown): unknown {
  if (typeof body === "string") return body;
  if (typeof body !== "object" || body === null) return undefined;
  const { detail, error } = body as { detail?: unknown; error?: unknown };
  if (detail !== undefined) return detail;
  if (typeof error === "object" && error !== null) return (error as { message?: unknown }).message;
  return error;
}
