/** A model as it is being edited. `params` and `meta` are edited in place, key by key: keys that nobody here knows stay. */
import type { Schemas } from "$api/client";
import { canonical, compared, type Changes } from "$parts/changes";
import { isKnown } from "./parameters";

export type Grant = Schemas["Grant"];
type Model = Schemas["Model"];

export interface Fields {
  id: string;
  name: string;
  base_model_id: string | null;
  params: Record<string, unknown>;
  meta: Record<string, unknown>;
  access_grants: Grant[];
  is_active: boolean;
}

export interface Suggestion {
  title: [string, string];
  content: string;
}

export const emptyFields = (changes: Partial<Fields> = {}): Fields => ({
  id: "",
  name: "",
  base_model_id: null,
  params: {},
  meta: {},
  access_grants: [],
  is_active: true,
  ...changes,
});

export function fieldsOf(model: Model): Fields {
  const { id, name, base_model_id, params, meta, is_active } = model;
  const access_grants = model.access_grants.map(({ principal_type, principal_id, permission }) => ({
    principal_type,
    principal_id,
    permission,
  }));
  return structuredClone({ id, name, base_model_id, params, meta, access_grants, is_active });
}

/** The fields as they are sent: what was opened and left empty is as if it had been left alone. */
export function cleaned(fields: Fields): Fields {
  const params = { ...fields.params };
  for (const [name, value] of Object.entries(params)) {
    const isEmpty = value === null || value === undefined || value === "" || Number.isNaN(value);
    if (isEmpty && (isKnown(name) || name === "system" || value === undefined)) delete params[name];
  }
  if (Array.isArray(params.locked) && !params.locked.length) delete params.locked;
  const meta = { ...fields.meta };
  if (Array.isArray(meta.suggestion_prompts)) {
    meta.suggestion_prompts = (meta.suggestion_prompts as Partial<Suggestion>[]).filter(
      (prompt) => prompt.content !== "" || (prompt.title ?? []).some((line) => line !== ""),
    );
  }
  const order = (grant: Grant): string => `${grant.permission} ${grant.principal_type} ${grant.principal_id}`;
  const access_grants = fields.access_grants.toSorted((one, other) => (order(one) < order(other) ? -1 : 1));
  return { ...fields, params, meta, access_grants };
}

export class Draft {
  fields = $state<Fields>(emptyFields());
  /** What the server has, as far as this page knows. */
  saved = $state.raw<Fields>(emptyFields());
  version = $state<string | null>(null);
  /** False while there is no row yet. */
  exists = $state(false);
  /** Raised when all fields are replaced at once: inputs with a text of their own begin anew. */
  generation = $state(0);
  /** Inputs whose text cannot be taken, by name. */
  faults = $state<Record<string, string>>({});

  constructor(fields: Fields, model: Model | null) {
    this.fields = fields;
    this.saved = cleaned(structuredClone(fields));
    this.version = model?.version_id ?? null;
    this.exists = model !== null;
  }

  readonly content = $derived(cleaned($state.snapshot(this.fields) as Fields));
  readonly dirty = $derived(canonical(this.content) !== canonical(this.saved));
  readonly changes: Changes = $derived(
    compared(this.saved as unknown as Record<string, unknown>, this.content as unknown as Record<string, unknown>),
  );

  /** A copy can be saved as it is; of anything else something must have changed. */
  get savable(): boolean {
    return this.dirty || (!this.exists && this.isPreset && this.saved.name !== "");
  }

  get isPreset(): boolean {
    return this.fields.base_model_id !== null;
  }

  /** The server took it, or somebody else's version is taken over. What others may change beside versions (activity, access,
   * hiding) is as it is there, unless it was changed here. */
  accept(model: Model): void {
    const { content, saved } = this;
    const now = cleaned(fieldsOf(model));
    if (content.is_active === saved.is_active) this.fields.is_active = now.is_active;
    if (canonical(content.access_grants) === canonical(saved.access_grants)) {
      this.fields.access_grants = structuredClone(now.access_grants);
    }
    if (content.meta.hidden === saved.meta.hidden) this.set("meta", "hidden", now.meta.hidden);
    this.saved = now;
    this.version = model.version_id;
    this.exists = true;
  }

  /** What is on the form becomes a model of its own. */
  separate(): void {
    this.version = null;
    this.exists = false;
  }

  replace(fields: Fields): void {
    this.fields = structuredClone(fields);
    this.faults = {};
    this.generation += 1;
  }

  /** A key of `params` or `meta`; undefined takes it away. */
  set(part: "params" | "meta", name: string, value: unknown): void {
    if (value === undefined) delete this.fields[part][name];
    else this.fields[part][name] = value;
  }

  texts(part: "params" | "meta", name: string): string[] {
    const value = this.fields[part][name];
    return Array.isArray(value) ? value.filter((item): item is string => typeof item === "string") : [];
  }

  isLocked(name: string): boolean {
    return this.texts("params", "locked").includes(name);
  }

  lock(name: string, locked: boolean): void {
    const others = this.texts("params", "locked").filter((other) => other !== name);
    const names = locked ? [...others, name] : others;
    this.set("params", "locked", names.length ? names : undefined);
  }

  fault(name: string, message: string | null): void {
    if (message) this.faults[name] = message;
    else delete this.faults[name];
  }
}
