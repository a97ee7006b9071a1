/** How a model's id follows from its name, until somebody writes one, and what the id of a new preset may not hold. */

/** The server has the same rule: whoever calls a model writes its id into commands and addresses. */
export const hasBlank = (id: string): boolean => /[\s\p{C}]/u.test(id);

export function idFrom(name: string): string {
  return name
    .trim()
    .replace(/\s+/g, "-")
    .replace(/[^\p{L}\p{M}\p{N}-]/gu, "")
    .toLowerCase();
}
