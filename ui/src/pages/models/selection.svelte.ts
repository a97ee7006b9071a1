/** Rows that are selected, by id. They stay selected when they scroll out of sight, and go when the filters change. */
import { untrack } from "svelte";
import { SvelteMap } from "svelte/reactivity";
import type { Selected } from "./subject";

/** The most that are selected at one go; the server changes so many in one step. */
export const MOST_SELECTED = 1000;

export class Selection {
  readonly #rows = new SvelteMap<string, Selected>();

  get rows(): Selected[] {
    return [...this.#rows.values()];
  }

  get count(): number {
    return this.#rows.size;
  }

  has(id: string): boolean {
    return this.#rows.has(id);
  }

  pick(row: Selected, chosen: boolean): void {
    if (chosen) this.#rows.set(row.id, row);
    else this.#rows.delete(row.id);
  }

  /** Newer states of rows; those that are not selected are passed over. */
  renew(rows: readonly Selected[]): void {
    untrack(() => {
      for (const row of rows) {
        if (this.#rows.has(row.id)) this.#rows.set(row.id, row);
      }
    });
  }

  clear(): void {
    this.#rows.clear();
  }
}
