/** Around the Markdown of an answer. */
export const markdownWords = {
  code: (language: string) => `Code: ${language || "text"}`,
  copyCode: "Copy the code",
  image: (text: string) => `Image: ${text}`,
  unnamedImage: "no description",
  table: "Table",
  done: "Done",
  open: "Open",
  cut: (shown: string) => `Only the first ${shown} characters are shown. The copy button has all of it.`,
};
