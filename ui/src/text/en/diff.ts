/** Differences. */
export const diff = {
  before: "before",
  after: "after",
  removed: "removed",
  added: "added",
  nothing: "nothing",
  emptyText: "empty text",
  picture: (size: string) => `picture, ${size}`,
  unchanged: (count: number) => (count === 1 ? "1 line unchanged" : `${count} lines unchanged`),
  more: (count: number) => (count === 1 ? "Show 1 more line" : `Show ${count} more lines`),
  lines: (field: string) => `Changed lines of ${field}`,
};
