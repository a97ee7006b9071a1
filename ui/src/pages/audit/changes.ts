/** What an entry or a plan says of fields, brought into single differences that can be shown. Pure. */

export interface Change {
  /** Dotted: `params.temperature`. */
  field: string;
  old: unknown;
  new: unknown;
}

// What is nested deeper is shown as a whole.
const MOST_DEPTH = 6;
// The difference of a text that is longer, or has lines, is shown line by line.
const LONG_TEXT = 100;

type Fields = Record<string, unknown>;

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
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
  if (!opens || !names.length) return same(old, now) ? [] : [{ field, old, new: now }];
  return names.flatMap((name) => leaves(`${field}.${name}`, before[name], after[name], depth + 1));
}

/** True for values that are one in JSON, whatever the order of their fields. */
export function same(left: unknown, right: unknown): boolean {
  if (left === right) return true;
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length && left.every((item, index) => same(item, right[index]));
  }
  if (!isFields(left) || !isFields(right)) return false;
  const names = Object.keys(left);
  return (
    names.length === Object.keys(right).length && names.every((name) => name in right && same(left[name], right[name]))
  );
}

/** A value as text; null for one that is not there. */
export function shown(value: unknown): string | null {
  if (value === undefined || value === null) return null;
  return typeof value === "string"
    ? value
    : JSON.stringify(value, null, isFields(value) || Array.isArray(value) ? 2 : 0);
}

/** Whether two texts are better compared by line. */
export function byLine(old: string | null, now: string | null): boolean {
  const long = (text: string | null) => text !== null && (text.length > LONG_TEXT || text.includes("\n"));
  return old !== null && now !== null && (long(old) || long(now));
}

/** What people call an object, as far as its own changes tell it. */
export function nameIn(changes: Fields | null | undefined): string | null {
  for (const field of ["name", "email"]) {
    const pair = changes?.[field];
    if (!isFields(pair)) continue;
    const name = pair.new ?? pair.old;
    if (typeof name === "string" && name.trim()) return name;
  }
  return null;
}
