/** How a model's id follows from its name, until somebody writes one, and what no id may hold. */

/** Whoever calls a model writes its id into commands and addresses. */
export const hasBlank = (id: string): boolean => /\s/u.test(id);

export function idFrom(name: string): string {
  return name
    .trim()
    .replace(/\s+/g, "-")
    .replace(/[^\p{L}\p{M}\p{N}-]/gu, "")
    .toLowerCase();
}
