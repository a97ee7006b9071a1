/** What two people have made of the same fields since one of them opened the page. */
import { compared, differences, type Change } from "$parts/changes";
import type { Fields } from "./draft.svelte";

interface BothSides {
  field: string;
  /** Absent on the side that left the field alone. */
  theirs?: Change;
  mine?: Change;
}

const since = (opened: Fields, now: Fields): Change[] =>
  differences(compared({ ...opened } as Record<string, unknown>, { ...now } as Record<string, unknown>));

/** Theirs first: they are what the person has not seen. */
export function bothSides(opened: Fields, theirs: Fields, mine: Fields): BothSides[] {
  const fields = new Map<string, BothSides>();
  for (const change of since(opened, theirs)) fields.set(change.field, { field: change.field, theirs: change });
  for (const change of since(opened, mine)) {
    fields.set(change.field, { ...(fields.get(change.field) ?? { field: change.field }), mine: change });
  }
  return [...fields.values()];
}
