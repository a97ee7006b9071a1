/** Ollama's clients say a name with and without its `:latest`; both mean the same model, as on the server. */
const LATEST = ":latest";

export const otherSpelling = (name: string): string =>
  name.endsWith(LATEST) ? name.slice(0, -LATEST.length) : name + LATEST;

/** The entry of that id, or of its other spelling when there is none. */
export const byName = <Entry extends { id: string }>(entries: readonly Entry[], id: string): Entry | undefined =>
  entries.find((entry) => entry.id === id) ?? entries.find((entry) => entry.id === otherSpelling(id));
