/** Gives the person a text as a file. */
export function saveText(text: string, name: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: "text/yaml" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  // The download has begun with its own copy by then.
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
