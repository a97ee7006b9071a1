/** What stands in the form of a connection, and what of it is sent. */
import type { Schemas } from "$api/client";
import type { Problem } from "$api/problem";
import { sentence } from "./state";

export type Connection = Schemas["Connection"];
export type Kinds = Schemas["Kinds"];
type Fields = Omit<Schemas["TriedConnection"], "id">;

/** A secret that is only ever written: `masked` is what the server shows of a stored one, `typed` what is to replace it. */
export interface Secret {
  masked: string | null;
  typed: string;
  replacing: boolean;
}
export interface Header extends Secret {
  name: string;
}

export interface Draft {
  name: string;
  flavour: string;
  base_url: string;
  keys: Secret[];
  enable: boolean;
  connection_type: string;
  loads: boolean;
  prefix_id: string;
  model_ids: string[];
  tags: string[];
  priority: number | null;
  weight: number | null;
  timeouts: Record<"connect" | "first_byte" | "idle", number | null>;
  limits: Record<"rpm" | "tpm" | "concurrency", number | null>;
  headers: Header[];
  tls: { verify: boolean; ca_file: string; client_cert: string };
}

export const newSecret = (): Secret => ({ masked: null, typed: "", replacing: true });

export function emptyDraft(flavour = "compatible", base_url = ""): Draft {
  return {
    name: "",
    flavour,
    base_url,
    keys: [],
    enable: true,
    connection_type: "",
    loads: true,
    prefix_id: "",
    model_ids: [],
    tags: [],
    priority: null,
    weight: null,
    timeouts: { connect: null, first_byte: null, idle: null },
    limits: { rpm: null, tpm: null, concurrency: null },
    headers: [],
    tls: { verify: true, ca_file: "", client_cert: "" },
  };
}

export function draftOf(row: Connection): Draft {
  const stored = (masked: string): Secret => ({ masked, typed: "", replacing: false });
  return {
    name: row.name,
    flavour: row.flavour,
    base_url: row.base_url,
    keys: row.api_keys.map(stored),
    enable: row.enable,
    connection_type: row.connection_type,
    loads: row.loads,
    prefix_id: row.prefix_id ?? "",
    model_ids: [...row.model_ids],
    tags: [...row.tags],
    priority: row.priority,
    weight: row.weight,
    timeouts: { ...row.timeouts },
    limits: { rpm: row.limits.rpm ?? null, tpm: row.limits.tpm ?? null, concurrency: row.limits.concurrency ?? null },
    headers: Object.entries(row.headers).map(([name, masked]) => ({ name, ...stored(masked) })),
    tls: {
      verify: row.tls.verify ?? true,
      ca_file: row.tls.ca_file ?? "",
      client_cert: row.tls.client_cert ?? "",
    },
  };
}

/** An address as people type it, `localhost:8000` or `api.example.com`, with its scheme in front. Keys must not cross the
 * open network in clear text, so only what stands on this machine or network by its look is taken for http. */
export function withScheme(typed: string): string {
  const address = typed.trim();
  if (!/^(?:\[[\da-f:]+\]|[a-z\d](?:[a-z\d.-]*[a-z\d])?)(?::\d+)?(?:\/.*)?$/i.test(address)) return address;
  const host = address.replace(/(?::\d+)?(?:\/.*)?$/, "");
  const near =
    host.startsWith("[") || /^[\d.]+$/.test(host) || !host.includes(".") || /\.(?:local|lan|internal)$/i.test(host);
  return `${near ? "http" : "https"}://${address}`;
}

/** Everything that the form says, in the words of the API. An empty field is null: the default. */
function fieldsOf(draft: Draft, kinds: Kinds): Fields {
  const chosen = kinds.items.find((item) => item.name === draft.flavour);
  return {
    name: draft.name.trim(),
    kind: (chosen?.kind ?? "openai") as Fields["kind"] & string,
    // What stands for a whole kind is left open: the server recognises well-known services by their address.
    flavour: chosen?.default_for_kind ? null : draft.flavour,
    base_url: withScheme(draft.base_url),
    api_keys: draft.keys.map(said).filter((key) => key !== ""),
    enable: draft.enable,
    connection_type: (draft.connection_type || null) as "local" | "external" | null,
    loads: draft.loads,
    prefix_id: draft.prefix_id.trim() || null,
    model_ids: draft.model_ids,
    tags: draft.tags,
    priority: draft.priority,
    weight: draft.weight,
    // A timeout that is left out of a change stays as it is, so the default is sent in its own words.
    timeouts: {
      connect: draft.timeouts.connect ?? kinds.timeouts.connect,
      first_byte: draft.timeouts.first_byte ?? kinds.timeouts.first_byte,
      idle: draft.timeouts.idle ?? kinds.timeouts.idle,
    },
    limits: draft.limits,
    headers: Object.fromEntries(
      draft.headers.filter((header) => header.name.trim()).map((header) => [header.name.trim(), said(header)]),
    ),
    tls: {
      verify: draft.tls.verify,
      ca_file: draft.tls.ca_file.trim() || null,
      client_cert: draft.tls.client_cert.trim() || null,
    },
  };
}

const said = (secret: Secret): string =>
  secret.masked !== null && !secret.typed ? secret.masked : secret.typed.trim();

/** What differs from `before`, which is what is saved, or an empty form. Kind and flavour go together. */
export function changesOf(draft: Draft, before: Draft, kinds: Kinds): Fields {
  const now = fieldsOf(draft, kinds);
  const then = fieldsOf(before, kinds);
  const names = (Object.keys(now) as (keyof Fields)[]).filter(
    (name) => JSON.stringify(now[name]) !== JSON.stringify(then[name]),
  );
  if (draft.flavour !== before.flavour) names.push("kind", "flavour");
  else names.splice(0, names.length, ...names.filter((name) => name !== "kind" && name !== "flavour"));
  return Object.fromEntries(names.map((name) => [name, now[name]])) as Fields;
}

/** The form of a connection that is to be made: kind and address always, of the rest what was filled in. */
export function wholeOf(draft: Draft, kinds: Kinds): Schemas["NewConnection"] {
  const { name, kind, base_url, flavour } = fieldsOf(draft, kinds);
  const changes = changesOf(draft, emptyDraft(draft.flavour), kinds);
  return {
    ...changes,
    ...(flavour ? { flavour } : {}),
    name: name ?? "",
    kind: kind ?? "openai",
    base_url: base_url ?? "",
  };
}

/** What makes a deleted connection again; only for one without secrets, which cannot be read. */
export function againOf(row: Connection): Schemas["NewConnection"] {
  const { name, kind, flavour, base_url, enable, prefix_id, model_ids, tags, priority, weight, timeouts, limits } = row;
  return {
    ...{ name, flavour, base_url, enable, prefix_id, model_ids, tags, priority, weight, timeouts, limits },
    kind: kind as Schemas["NewConnection"]["kind"],
    connection_type: row.connection_type as "local" | "external",
    tls: row.tls,
    loads: row.loads,
  };
}

export const hasSecrets = (row: Connection): boolean => row.api_keys.length > 0 || Object.keys(row.headers).length > 0;

/** Messages by field: those of the form's check, and those that the server tells as `field: sentence`. */
export function faultsOf(problem: Problem | null, draft: Draft): Record<string, string> {
  if (!problem) return {};
  if (Object.keys(problem.fields).length) {
    return Object.fromEntries(Object.entries(problem.fields).map(([name, fault]) => [placeOf(name), sentence(fault)]));
  }
  if (problem.status === 409) return { name: problem.message };
  const [, name, told] = /^([a-z_]+(?:\.[a-z_]+)?): ([\s\S]+)$/.exec(problem.message) ?? [];
  if (problem.status !== 422 || !name || !told) return {};
  return name in draft || name === "api_keys" || name.startsWith("tls.") ? { [placeOf(name)]: sentence(told) } : {};
}

/** A fault in a list or of one header (`api_keys.0`, `headers.x-team`) stands at the whole of it. */
const placeOf = (name: string): string => name.replace(/\.\d+$/, "").replace(/^headers\..*$/, "headers");

const PLACES = [
  ...["name", "kind", "flavour", "base_url", "api_keys", "prefix_id", "model_ids", "tags", "connection_type"],
  ...["priority", "weight", "headers", "timeouts.connect", "timeouts.first_byte", "timeouts.idle"],
  ...["limits.rpm", "limits.tpm", "limits.concurrency", "tls.ca_file", "tls.client_cert"],
];

/** Whether every message stands at a field of the form; otherwise the whole problem is shown above it. */
export function allPlaced(faults: Record<string, string>): boolean {
  const names = Object.keys(faults);
  return names.length > 0 && names.every((name) => PLACES.includes(name));
}

/** A name that no connection has: `ollama`, `ollama 2`. */
export function freeName(wanted: string, taken: readonly string[]): string {
  if (!taken.includes(wanted)) return wanted;
  let number = 2;
  while (taken.includes(`${wanted} ${number}`)) number += 1;
  return `${wanted} ${number}`;
}
