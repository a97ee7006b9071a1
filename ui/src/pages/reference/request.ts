/** A request as it is sent, and as a command that does the same. Pure. */
import { quoted } from "$app/shell";
import type { Operation, Parameter } from "./openapi";

/** Of an answer, what is shown at most. */
export const MOST_BYTES = 200_000;

/** Parameters by place and name. */
export type Values = Record<string, string>;
export const keyOf = (parameter: Pick<Parameter, "in" | "name">) => `${parameter.in}:${parameter.name}`;

export const parameters = (operation: Operation) => operation.raw.parameters ?? [];

/** The path below the server's address. A value that is empty is not sent, but for what the path needs. */
export function pathOf(operation: Operation, values: Values): string {
  const path = operation.path.replace(/\{([^}]+)\}/g, (whole, name: string) => {
    const value = values[`path:${name}`];
    // As the server matches it: a slash within a value would be another path.
    return value ? encodeURIComponent(value) : whole;
  });
  const query = new URLSearchParams();
  for (const parameter of parameters(operation)) {
    const value = values[keyOf(parameter)];
    if (parameter.in === "query" && value) query.append(parameter.name, value);
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

/** The first parameter that is needed and has no value. */
export function missing(operation: Operation, values: Values): string | null {
  const found = parameters(operation).find((parameter) => parameter.required && !values[keyOf(parameter)]);
  return found?.name ?? null;
}

export function curl(address: string, operation: Operation, values: Values, body: string | null): string {
  const method =
    operation.method === "GET" || (operation.method === "POST" && body !== null) ? "" : ` -X ${operation.method}`;
  const lines = [
    `curl${method} ${quoted(address + pathOf(operation, values))}`,
    `  -H "Authorization: Bearer $MODELYARD_API_KEY"`,
  ];
  if (body !== null) lines.push(`  -H "Content-Type: application/json"`, `  -d ${quoted(body)}`);
  return lines.join(" \\\n");
}

/** JSON indented; other text as it is. */
export function pretty(text: string, type: string): string {
  if (!type.includes("json") || type.includes("jsonl")) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
