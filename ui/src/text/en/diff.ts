/** Differences. */
export const diffWords = {
  nothing: "nothing",
  picture: (size: string) => `picture, ${size}`,
  same: (count: number) => (count === 1 ? "1 line is the same" : `${count} lines are the same`),
  addedLine: "Added: ",
  removedLine: "Removed: ",
};
