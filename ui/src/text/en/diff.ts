/** Differences. */
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
  unchanged: (count: number) => (count === 1 ? "1 line unchanged" : `${count} lines unchanged`),
  more: (count: number) => (count === 1 ? "Show 1 more line" : `Show ${count} more lines`),
  lines: (field: string) => `Changed lines of ${field}`,
};
