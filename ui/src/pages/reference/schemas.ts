/** Schemas as rows of fields, and as an example. References may go in circles: both stop at a depth. Pure. */
import { reference } from "$text/reference";
import { resolved, type OpenApi, type Schema } from "./openapi";

export interface Field {
  /** Dotted, with `[]` for the items of a list. */
  name: string;
  depth: number;
  type: string;
  required: boolean;
  description: string;
  /** Default and limits, in words. */
  notes: string[];
}

const MOST_DEPTH = 4;
const MOST_FIELDS = 300;

export function fields(schema: Schema | undefined, document: OpenApi): Field[] {
  const found: Field[] = [];
  collect(schema, document, "", 0, [], found);
  return found;
}

function collect(
  schema: Schema | undefined,
  document: OpenApi,
  prefix: string,
  depth: number,
  path: string[],
  found: Field[],
): void {
  const { schema: inner, mark, refs } = opened(schema, document);
  // A schema within itself is shown once.
  if (depth > MOST_DEPTH || refs.some((ref) => path.includes(ref))) return;
  const required = inner.required ?? [];
  for (const [name, property] of Object.entries(inner.properties ?? {})) {
    if (found.length >= MOST_FIELDS) return;
    const full = `${prefix}${mark}${prefix || mark ? "." : ""}${name}`;
    found.push({
      name: full,
      depth,
      type: typeName(property, document),
      required: required.includes(name),
      description: resolved(property, document).description ?? "",
      notes: notes(property, document),
    });
    collect(property, document, full, depth + 1, [...path, ...refs], found);
  }
}

/** The object behind a schema: of a list its items, of `X or null` that X. */
function opened(schema: Schema | undefined, document: OpenApi): { schema: Schema; mark: string; refs: string[] } {
  const refs: string[] = [];
  let mark = "";
  let current = schema ?? {};
  for (let hops = 0; hops < 10; hops++) {
    if (current.$ref) refs.push(current.$ref);
    current = resolved(current, document);
    const one = alternatives(current).filter((option) => resolved(option, document).type !== "null");
    if (current.items) [current, mark] = [current.items, `${mark}[]`];
    else if (one.length === 1 && one[0]) current = one[0];
    else if (typeof current.additionalProperties === "object" && !current.properties) {
      [current, mark] = [current.additionalProperties, `${mark}.*`];
    } else break;
  }
  return { schema: current, mark, refs };
}

const alternatives = (schema: Schema) => schema.anyOf ?? schema.oneOf ?? [];

export function typeName(schema: Schema | undefined, document: OpenApi, depth = 0): string {
  const words = reference.types;
  if (depth > MOST_DEPTH) return words.recursive;
  const inner = resolved(schema, document);
  const options = alternatives(inner);
  if (options.length) {
    return [...new Set(options.map((option) => typeName(option, document, depth + 1)))].join(words.or);
  }
  if (inner.const !== undefined) return JSON.stringify(inner.const);
  if (inner.enum) return inner.enum.map((value) => JSON.stringify(value)).join(words.or);
  if (inner.items) return words.list(typeName(inner.items, document, depth + 1));
  if (typeof inner.additionalProperties === "object" && !inner.properties) {
    return words.map(typeName(inner.additionalProperties, document, depth + 1));
  }
  // The name of a form says more than that it is an object; a title that stands for a field's own name does not.
  if (schema?.$ref && inner.properties && inner.title) return inner.title;
  return inner.type ?? (inner.properties ? "object" : words.anything);
}

export function notes(schema: Schema | undefined, document: OpenApi): string[] {
  const inner = resolved(schema, document);
  // Of `X or null` the limits stand within X.
  const all = [inner, ...alternatives(inner).map((option) => resolved(option, document))];
  const found = all.flatMap((part) =>
    Object.entries(reference.limits).flatMap(([name, say]) => (part[name] === undefined ? [] : [say(part[name])])),
  );
  if (inner.default !== undefined && inner.default !== null) {
    found.push(reference.defaultIs(JSON.stringify(inner.default)));
  }
  return [...new Set(found)];
}

/** A body to begin with: what is required, and where nothing is, everything. */
export function example(schema: Schema | undefined, document: OpenApi, depth = 0): unknown {
  const inner = resolved(schema, document);
  if (inner.default !== undefined) return inner.default;
  if (inner.const !== undefined) return inner.const;
  if (inner.enum) return inner.enum[0];
  const options = alternatives(inner).filter((option) => resolved(option, document).type !== "null");
  if (options.length) return example(options[0], document, depth + 1);
  if (inner.properties) {
    if (depth > MOST_DEPTH) return {};
    const names = inner.required?.length ? inner.required : Object.keys(inner.properties);
    return Object.fromEntries(
      names.map((name) => [name, optional(inner.properties?.[name], document, depth, inner.required?.includes(name))]),
    );
  }
  switch (inner.type) {
    case "array":
      return [];
    case "integer":
    case "number":
      return inner.minimum ?? 0;
    case "boolean":
      return false;
    case "string":
      return "";
    case "null":
      return null;
    default:
      return {};
  }
}

/** A field that may be null, and need not be there, begins as null. */
function optional(schema: Schema | undefined, document: OpenApi, depth: number, required?: boolean): unknown {
  const inner = resolved(schema, document);
  const nullable = alternatives(inner).some((option) => resolved(option, document).type === "null");
  if (nullable && !required) return inner.default ?? null;
  return example(schema, document, depth + 1);
}
