/** What is shown once and never again. */
export const secretWords = {
  done: "Done",
  closeAnyway: "Close without copying",
};
