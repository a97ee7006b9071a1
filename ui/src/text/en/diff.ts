/** Differences. */
export const diffWords = {
  nothing: "nothing",
  picture: (size: string) => `picture, ${size}`,
  same: (count: number) => (count === 1 ? "1 line is the same" : `${count} lines are the same`),
  more: (count: number) => (count === 1 ? "1 more line" : `${count} more lines`),
  addedLine: "Added: ",
  removedLine: "Removed: ",
};
