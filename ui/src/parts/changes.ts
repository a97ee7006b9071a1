/** What differs between two objects, by the path of each value, such as `params.temperature`. Pure. */
import { diff as words } from "$text/diff";
import { kilobytes } from "./numbers";

/** Old and new value by path: as the server tells the differences of two versions. */
export type Changes = Record<string, { old: unknown; new: unknown }>;

/** One difference that can be shown. */
export interface Change {
  /** Dotted: `params.temperature`. */
  field: string;
  old: unknown;
  new: unknown;
}

type Fields = Record<string, unknown>;

// What is nested deeper is shown as a whole.
const MOST_DEPTH = 6;
// The difference of a text that is longer, or has lines, is shown line by line.
const LONG_TEXT = 100;

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What people call an object, as far as its own changes tell it: the first of these fields that has a text. */
export function nameIn(changes: Fields | null | undefined, fields: readonly string[]): string | null {
  for (const field of fields) {
    const pair = changes?.[field];
    if (!isFields(pair)) continue;
    const name = pair.new ?? pair.old;
    if (typeof name === "string" && name.trim()) return name;
  }
  return null;
}

/** JSON with its keys in order, so that equal values have equal texts. */
export function canonical(value: unknown): string | undefined {
  return JSON.stringify(value, (_, inner: unknown) =>
    isFields(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([one], [other]) => (one < other ? -1 : 1)))
      : inner,
  );
}

/** Paths go into objects, not into lists. */
export function compared(old: Fields, now: Fields, place = ""): Changes {
  const found: Changes = {};
  for (const name of new Set([...Object.keys(old), ...Object.keys(now)])) {
    const before = old[name];
    const after = now[name];
    if (isFields(before) && isFields(after)) Object.assign(found, compared(before, after, `${place}${name}.`));
    else if (canonical(before ?? null) !== canonical(after ?? null)) {
      found[place + name] = { old: before ?? null, new: after ?? null };
    }
  }
  return found;
}

/** One difference for each leaf that differs. What is no pair of old and new (a tampered entry) is shown as it stands. */
export function differences(changes: Fields | null | undefined): Change[] {
  return Object.entries(changes ?? {}).flatMap(([field, pair]) =>
    isFields(pair) && ("old" in pair || "new" in pair)
      ? leaves(field, pair.old, pair.new, 0)
      : [{ field, old: undefined, new: pair }],
  );
}

function leaves(field: string, old: unknown, now: unknown, depth: number): Change[] {
  // Of access, null means something else than an empty object: it is never opened into its parts.
  const whole = depth >= MOST_DEPTH || field === "access_control" || field.endsWith(".access_control");
  const before = isFields(old) ? old : old === null || old === undefined ? {} : null;
  const after = isFields(now) ? now : now === null || now === undefined ? {} : null;
  const opens = !whole && before && after && (isFields(old) || isFields(now));
  const names = opens ? [...new Set([...Object.keys(before), ...Object.keys(after)])] : [];
  if (!opens || !names.length) return canonical(old) === canonical(now) ? [] : [{ field, old, new: now }];
  return names.flatMap((name) => leaves(`${field}.${name}`, before[name], after[name], depth + 1));
}

/** Whether there is nothing to see: not set, no text, no fields, no items. */
export const isEmpty = (value: unknown): boolean =>
  value === undefined || value === null || value === "" || (typeof value === "object" && !Object.keys(value).length);

/** A value as text; null for one that is not there. A picture is told by its size: nobody reads its letters. */
export function shown(value: unknown): string | null {
  if (value === undefined || value === null) return null;
  if (typeof value === "string") return pictureSize(value) ?? value;
  if (typeof value === "boolean") return value ? words.yes : words.no;
  if (isEmpty(value)) return words.empty;
  if (Array.isArray(value) && value.every((one) => typeof one === "string" && one !== "" && !one.includes("\n")))
    return value.join("\n");
  const readable = (_: string, inner: unknown) => (typeof inner === "string" ? (pictureSize(inner) ?? inner) : inner);
  return JSON.stringify(value, readable, 2);
}

function pictureSize(text: string): string | null {
  const start = /^data:image\/[a-z.+-]+;base64,/.exec(text);
  return start && words.picture(`${kilobytes(((text.length - start[0].length) * 3) / 4)} KB`);
}

/** Whether two texts (null: there is none) are better shown line by line. */
export function byLine(...texts: (string | null)[]): boolean {
  return texts.some((text) => text !== null && (text.length > LONG_TEXT || text.includes("\n")));
}
