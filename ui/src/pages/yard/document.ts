/** What can be told from the text of a yard.yaml and from what the server says of it, without reading YAML. Pure. */
import type { Schemas } from "$api/client";

export const YAML = "text/yaml";
/** What the API takes, in bytes. */
export const MOST_BYTES = 2 * 1024 * 1024;
const MOST_REFERENCES = 200;

/** The names that a document refers to as `${NAME}`, each once. `$${NAME}` is text, and so is a comment. */
export function references(document: string): string[] {
  const found = new Set<string>();
  for (const line of document.split("\n")) {
    if (line.trimStart().startsWith("#")) continue;
    for (const [, dollars, name] of line.matchAll(/(\$+)\{([A-Za-z_][A-Za-z0-9_]*)\}/g)) {
      if ((dollars ?? "").length % 2 === 1) found.add(name ?? "");
      if (found.size >= MOST_REFERENCES) return [...found];
    }
  }
  return [...found];
}

/** The line that a fault names, from 1; null when it names none. */
export function faultLine(message: string): number | null {
  const found = /\bline (\d{1,7})\b/.exec(message);
  return found ? Number(found[1]) : null;
}

/** Where the place of a fault such as `models.0.nme: ...` stands in a block-style document, from 1; null: not found.
 * It only helps to find the place: a document in another style is told by its words alone. */
export function pathLine(message: string, document: string): number | null {
  const place = /\b((?:settings|groups|connections|users|models)(?:\.[\w-]+)+):/.exec(message)?.[1]?.split(".");
  if (!place) return null;
  const lines = document.split("\n");
  let at = -1;
  let indent = -1;
  for (const part of place) {
    const next = /^\d+$/.test(part) ? nthItem(lines, at, indent, Number(part)) : field(lines, at, indent, part);
    if (!next) break;
    [at, indent] = next;
  }
  return at < 0 ? null : at + 1;
}

const depth = (line: string) => line.length - line.trimStart().length;
const blank = (line: string) => !line.trim() || line.trimStart().startsWith("#");

function field(lines: string[], from: number, indent: number, name: string): [number, number] | null {
  for (let index = Math.max(from, 0); index < lines.length; index++) {
    const line = lines[index] ?? "";
    if (blank(line)) continue;
    const text = index === from ? line.replace(/^(\s*)- /, "$1  ") : line;
    if (index > from && depth(line) <= indent && indent >= 0) return null;
    if (text.trimStart().startsWith(`${name}:`)) return [index, index === from ? indent : depth(text)];
  }
  return null;
}

function nthItem(lines: string[], from: number, indent: number, wanted: number): [number, number] | null {
  let count = -1;
  let column = -1;
  for (let index = from + 1; index < lines.length; index++) {
    const line = lines[index] ?? "";
    if (blank(line)) continue;
    const here = depth(line);
    const item = line.trimStart().startsWith("- ");
    if (here < indent || (here === indent && !item)) return null;
    if (!item) continue;
    if (column < 0) column = here;
    if (here === column && ++count === wanted) return [index, here];
  }
  return null;
}

type Step = Schemas["ShownStep"];

/** Steps by their noun, in the order in which they are taken. */
export function grouped(steps: readonly Step[]): [string, Step[]][] {
  const found = new Map<string, Step[]>();
  for (const step of steps) {
    const of = found.get(step.noun);
    if (of) of.push(step);
    else found.set(step.noun, [step]);
  }
  return [...found];
}

export function counts(steps: readonly Step[]): { create: number; update: number; delete: number } {
  const of = (action: Step["action"]) => steps.filter((step) => step.action === action).length;
  return { create: of("create"), update: of("update"), delete: of("delete") };
}

/** More than this is deleted only after a word was typed. */
export const MOST_UNTYPED = 20;

/** What a rollback cannot bring back whole: passwords, and secrets of keys and connections, are in no revision. */
const LOSSY: readonly Step["noun"][] = ["connection", "user", "key"];

/** What these steps delete, by noun in the order in which it goes. */
export function deletions(steps: readonly Step[]): { count: number; by: [string, number][]; lossy: boolean } {
  const gone = steps.filter((step) => step.action === "delete");
  return {
    count: gone.length,
    by: grouped(gone).map(([noun, of]) => [noun, of.length]),
    lossy: gone.some((step) => LOSSY.includes(step.noun)),
  };
}

/** Values that were typed: an empty one stands for what the server has. */
export function given(values: Record<string, string>, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap((name) => (values[name] ? [[name, values[name]]] : [])));
}
