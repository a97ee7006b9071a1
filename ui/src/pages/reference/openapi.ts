/** The server's OpenAPI document, read for people: operations, fields of schemas, an example of a body. Pure. */

export interface Schema {
  $ref?: string;
  type?: string;
  title?: string;
  description?: string;
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  [limit: string]: unknown;
}
export interface Parameter {
  name: string;
  in: string;
  required?: boolean;
  description?: string;
  schema?: Schema;
}
type Content = Record<string, { schema?: Schema }>;
interface RawOperation {
  operationId?: string;
  summary?: string;
  description?: string;
  tags?: string[];
  parameters?: Parameter[];
  requestBody?: { required?: boolean; content?: Content };
  responses?: Record<string, { description?: string; content?: Content }>;
}
export interface OpenApi {
  paths: Record<string, Record<string, RawOperation>>;
  components?: { schemas?: Record<string, Schema> };
}

/** One way to call the API. `id` is method and path, which stay when a version renames its functions. */
export interface Operation {
  id: string;
  method: string;
  path: string;
  tag: string;
  summary: string;
  description: string;
  raw: RawOperation;
  /** What a search looks at, in small letters. */
  text: string;
}

const METHODS = ["get", "post", "put", "patch", "delete"];

export function operations(document: OpenApi): Operation[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    METHODS.flatMap((method) => {
      const raw = methods[method];
      if (!raw) return [];
      const tag = raw.tags?.[0] ?? "";
      const [summary, description] = [raw.summary ?? "", raw.description ?? ""];
      const id = `${method.toUpperCase()} ${path}`;
      return [
        {
          id,
          method: method.toUpperCase(),
          path,
          tag,
          summary: sentence(summary),
          description,
          raw,
          text: `${id} ${summary} ${description} ${tag}`.toLowerCase(),
        },
      ];
    }),
  );
}

/** `List All Models` as people write it. */
function sentence(title: string): string {
  return title.slice(0, 1) + title.slice(1).toLowerCase();
}

/** Those that have every word, by their tag. */
export function found(all: readonly Operation[], query: string): [string, Operation[]][] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const groups = new Map<string, Operation[]>();
  for (const operation of all) {
    if (!words.every((word) => operation.text.includes(word))) continue;
    const group = groups.get(operation.tag);
    if (group) group.push(operation);
    else groups.set(operation.tag, [operation]);
  }
  return [...groups];
}

export const changes = (operation: Operation) => operation.method !== "GET";

/** The schema that a reference stands for. A reference to nothing, or in a circle, is anything. */
export function resolved(schema: Schema | undefined, document: OpenApi): Schema {
  let current = schema ?? {};
  for (let hops = 0; current.$ref; hops++) {
    const name = /^#\/components\/schemas\/(.+)$/.exec(current.$ref)?.[1];
    const next = name === undefined ? undefined : document.components?.schemas?.[name];
    if (!next || hops > 20) return {};
    // What stands beside a reference, such as a description, says more than what it refers to.
    const { $ref: _, ...beside } = current;
    current = { ...next, ...beside };
  }
  const only = current.allOf?.length === 1 ? current.allOf[0] : undefined;
  return only ? { ...resolved(only, document), ...current, allOf: undefined } : current;
}

/** The JSON form of a body or an answer; undefined when it is none. */
export function jsonOf(content: Content | undefined): Schema | undefined {
  return content?.["application/json"]?.schema;
}
