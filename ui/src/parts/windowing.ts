/** Which rows of a long list stand in the document: those in sight, a few around them, and the one that has the focus. */

export interface Seen {
  /** First row that is in sight, from 0. */
  first: number;
  /** Last row that is in sight. */
  last: number;
}

type Slot = { kind: "row"; index: number } | { kind: "gap"; rows: number; after: number };

/** Rows to keep ready above and below, so that a small step shows no empty place. */
const AROUND = 6;

/** The rows in sight. `top`: pixels from the top of the window to that of the list, negative once it was scrolled past. */
export function seen(top: number, windowHeight: number, rowHeight: number, total: number): Seen {
  const most = Math.max(0, total - 1);
  const first = Math.floor(Math.max(0, -top) / rowHeight);
  const last = Math.ceil(Math.max(0, windowHeight - top) / rowHeight);
  return { first: Math.min(first, most), last: Math.min(Math.max(first, last), most) };
}

/** Rows and the gaps between them, from the top to the bottom of the list. `pinned` is a row that stays wherever it is. */
export function slots(total: number, { first, last }: Seen, pinned: number | null): Slot[] {
  if (!total) return [];
  const begin = Math.max(0, first - AROUND);
  const end = Math.min(total - 1, last + AROUND);
  const rows = Array.from({ length: Math.max(0, end - begin + 1) }, (_, index) => begin + index);
  if (pinned !== null && pinned < total) {
    if (pinned < begin) rows.unshift(pinned);
    else if (pinned > end) rows.push(pinned);
  }
  const found: Slot[] = [];
  let next = 0;
  for (const index of rows) {
    if (index > next) found.push({ kind: "gap", rows: index - next, after: next });
    found.push({ kind: "row", index });
    next = index + 1;
  }
  if (next < total) found.push({ kind: "gap", rows: total - next, after: next });
  return found;
}
