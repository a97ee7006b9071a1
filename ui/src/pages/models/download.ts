/** Hands a file to the person. */
export function saveFile(name: string, content: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  // The browser has taken it by the end of this turn; a moment more does no harm.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
