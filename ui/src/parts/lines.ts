/** The difference of two texts, line by line: what did not change folded away, and of changed lines which words. Pure. */
import { diffArrays, diffWordsWithSpace } from "diff";

export interface Piece {
  text: string;
  /** Whether it is this that changed within its line. */
  marked: boolean;
}
export type Line =
  | { kind: "same" | "added" | "removed"; pieces: Piece[] }
  /** Lines that did not change and are not shown. */
  | { kind: "fold"; lines: string[] };
type Shown = Exclude<Line, { kind: "fold" }>;

const CONTEXT = 2;
// A difference that takes longer is not worth a page that stands still: all goes, all comes, and no word is marked.
const PATIENCE_MS = 40;
const LONGEST_LINE = 2000;

const plain = (kind: Shown["kind"], text: string): Shown => ({ kind, pieces: [{ text, marked: false }] });
const split = (text: string | null): string[] => (text === null ? [] : text.split("\n"));

/** Null is a text that is not there at all: then every line has come, or gone. */
export function lines(old: string | null, now: string | null): Line[] {
  const before = split(old);
  const after = split(now);
  const parts = diffArrays(before, after, { timeout: PATIENCE_MS });
  if (!parts) return [...before.map((text) => plain("removed", text)), ...after.map((text) => plain("added", text))];
  const end = performance.now() + PATIENCE_MS;
  const found: Line[] = [];
  for (let index = 0; index < parts.length; index++) {
    const part = parts[index]!;
    const next = parts[index + 1];
    if (part.removed && next?.added && next.value.length === part.value.length) {
      found.push(...changed(part.value, next.value, end));
      index++;
    } else if (part.removed || part.added) {
      found.push(...part.value.map((text) => plain(part.added ? "added" : "removed", text)));
    } else {
      found.push(...folded(part.value, index > 0, index < parts.length - 1));
    }
  }
  return found;
}

/** As many lines came as went in one place: each is taken for the new form of its opposite, and their words are compared. */
function changed(before: string[], after: string[], end: number): Shown[] {
  const removed: Shown[] = [];
  const added: Shown[] = [];
  before.forEach((text, at) => {
    const other = after[at] ?? "";
    const pieces = words(text, other, end);
    // Where nothing is common, marking all of it says nothing.
    if (!pieces?.some((piece) => !piece.added && !piece.removed && piece.value.trim())) {
      removed.push(plain("removed", text));
      added.push(plain("added", other));
      return;
    }
    const kept = (kind: "removed" | "added", others: "removed" | "added"): Shown => ({
      kind,
      pieces: pieces.filter((piece) => !piece[others]).map((piece) => ({ text: piece.value, marked: piece[kind] })),
    });
    removed.push(kept("removed", "added"));
    added.push(kept("added", "removed"));
  });
  return [...removed, ...added];
}

function words(text: string, other: string, end: number): ReturnType<typeof diffWordsWithSpace> | undefined {
  const timeout = end - performance.now();
  if (timeout <= 0 || text.length > LONGEST_LINE || other.length > LONGEST_LINE) return undefined;
  return diffWordsWithSpace(text, other, { timeout });
}

function folded(unchanged: string[], before: boolean, after: boolean): Line[] {
  const head = before ? CONTEXT : 0;
  const tail = after ? CONTEXT : 0;
  const same = (texts: string[]): Line[] => texts.map((text) => plain("same", text));
  // One hidden line would take as much room as it saves.
  if (unchanged.length <= head + tail + 1) return same(unchanged);
  return [
    ...same(unchanged.slice(0, head)),
    { kind: "fold", lines: unchanged.slice(head, unchanged.length - tail) },
    ...same(unchanged.slice(unchanged.length - tail)),
  ];
}
