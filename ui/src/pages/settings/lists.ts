/** Lists of model ids, and values of settings, as forms change them. Pure. */

/** The list with one item moved from one place to another; the same list when that is no place. */
export function moved<T>(items: readonly T[], from: number, to: number): T[] {
  const next = [...items];
  if (from < 0 || from >= next.length || to < 0 || to >= next.length) return next;
  const [item] = next.splice(from, 1);
  next.splice(to, 0, item as T);
  return next;
}

/** The API tells default and pinned models as one text with commas. */
export function listed(text: string | null | undefined): string[] {
  return (text ?? "")
    .split(",")
    .map((id) => id.trim())
    .filter(Boolean);
}

/** The fields of `now` that are not as they were: what a form sends, so that it changes nothing else. */
export function changed<T extends object>(old: T, now: T): Partial<T> {
  return Object.fromEntries(
    Object.entries(now).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(old[name as keyof T])),
  ) as Partial<T>;
}

/** What of a draft was not sent, or was changed again since. */
export function unsent<T extends object>(old: T, draft: T, sent: Partial<T>): Partial<T> {
  return Object.fromEntries(
    Object.entries(changed(old, draft)).filter(
      ([name, value]) => JSON.stringify(value) !== JSON.stringify(sent[name as keyof T]),
    ),
  ) as Partial<T>;
}
