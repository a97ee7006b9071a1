/** What differs between two objects, by the path of each value, such as `params.temperature`. */

export interface Change {
  old: unknown;
  new: unknown;
}
export type Changes = Record<string, Change>;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** JSON with its keys in order, so that equal values have equal texts. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    isObject(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([one], [other]) => (one < other ? -1 : 1)))
      : inner,
  );
}

/** Paths go into objects, not into lists: as the server tells the differences of two versions. */
export function compared(old: Record<string, unknown>, now: Record<string, unknown>, place = ""): Changes {
  const found: Changes = {};
  for (const name of new Set([...Object.keys(old), ...Object.keys(now)])) {
    const before = old[name];
    const after = now[name];
    if (isObject(before) && isObject(after)) Object.assign(found, compared(before, after, `${place}${name}.`));
    else if (canonical(before ?? null) !== canonical(after ?? null)) {
      found[place + name] = { old: before ?? null, new: after ?? null };
    }
  }
  return found;
}
