/** Differences. */
import { plural } from "./plural";

export const diff = {
  before: "before",
  after: "after",
  removed: "removed",
  added: "added",
  nothing: "Not set",
  emptyText: "Empty text",
  empty: "None",
  yes: "Yes",
  no: "No",
  picture: (size: string) => `Picture, ${size}`,
  unchanged: (count: number) => `${plural(count, "line", "lines")} unchanged`,
  more: (count: number) => `Show ${plural(count, "more line", "more lines")}`,
  lines: (field: string) => `Changed lines of ${field}`,
};
