/** Rows that are selected, by id. They stay selected when they scroll out of sight, and go when the filters change. */
import { SvelteMap } from "svelte/reactivity";
import type { ListedRow } from "./pages.svelte";

export class Selection {
  readonly #rows = new SvelteMap<string, ListedRow>();

  get rows(): ListedRow[] {
    return [...this.#rows.values()];
  }

  get count(): number {
    return this.#rows.size;
  }

  has(id: string): boolean {
    return this.#rows.has(id);
  }

  pick(row: ListedRow, chosen: boolean): void {
    if (chosen) this.#rows.set(row.id, row);
    else this.#rows.delete(row.id);
  }

  clear(): void {
    this.#rows.clear();
  }
}
