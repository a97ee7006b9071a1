/** Gives the person what is at an address as a file; the browser takes it, whatever its size. */
export function saveAddress(name: string, address: string): void {
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
}

export function saveText(name: string, text: string, type: string): void {
  const address = URL.createObjectURL(new Blob([text], { type }));
  saveAddress(name, address);
  // The browser has taken it by the end of this turn; a moment more does no harm.
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

export function saveJson(name: string, value: unknown): void {
  saveText(name, JSON.stringify(value, null, 2), "application/json");
}
