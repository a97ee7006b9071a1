/** The difference of two texts, line by line, with what did not change folded away. */
import { diffArrays } from "diff";

export type Line =
  | { kind: "same" | "added" | "removed"; text: string }
  /** Lines that did not change and are not shown. */
  | { kind: "fold"; lines: string[] };

const CONTEXT = 2;
// A difference that takes longer is not worth a page that stands still: all goes, all comes.
const PATIENCE_MS = 40;

export function lines(old: string, now: string): Line[] {
  const before = old.split("\n");
  const after = now.split("\n");
  const parts = diffArrays(before, after, { timeout: PATIENCE_MS });
  if (!parts) {
    return [
      ...before.map((text) => ({ kind: "removed" as const, text })),
      ...after.map((text) => ({ kind: "added" as const, text })),
    ];
  }
  return parts.flatMap((part, index): Line[] => {
    if (part.added) return part.value.map((text) => ({ kind: "added", text }));
    if (part.removed) return part.value.map((text) => ({ kind: "removed", text }));
    return folded(part.value, index > 0, index < parts.length - 1);
  });
}

function folded(unchanged: string[], before: boolean, after: boolean): Line[] {
  const head = before ? CONTEXT : 0;
  const tail = after ? CONTEXT : 0;
  const same = (texts: string[]): Line[] => texts.map((text) => ({ kind: "same", text }));
  // One hidden line would take as much room as it saves.
  if (unchanged.length <= head + tail + 1) return same(unchanged);
  return [
    ...same(unchanged.slice(0, head)),
    { kind: "fold", lines: unchanged.slice(head, unchanged.length - tail) },
    ...same(unchanged.slice(unchanged.length - tail)),
  ];
}
