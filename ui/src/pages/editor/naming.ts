/** How a model's id follows from its name, until somebody writes one. */

export function idFrom(name: string): string {
  return name
    .trim()
    .replace(/\s+/g, "-")
    .replace(/[^\p{L}\p{M}\p{N}-]/gu, "")
    .toLowerCase();
}
