/** What is shown once and never again. */
export const secretWords = {
  copied: "Copied",
  done: "Done",
  closeAnyway: "Close without copying",
  refused: "The browser did not allow copying. Select the text and copy it by hand.",
};
