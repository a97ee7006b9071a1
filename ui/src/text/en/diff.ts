/** Differences. */
export const diffWords = {
  was: "Before",
  is: "After",
  added: "added",
  removed: "removed",
  nothing: "nothing",
  picture: (size: string) => `picture, ${size}`,
  same: (count: number) => (count === 1 ? "1 line is the same" : `${count} lines are the same`),
  addedLine: "Added: ",
  removedLine: "Removed: ",
};
