/** Rows that are selected, by id. They stay selected when they scroll out of sight, and go when the filters change. */
import { untrack } from "svelte";
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

  /** Newer states of rows; those that are not selected are passed over. */
  renew(rows: readonly ListedRow[]): void {
    untrack(() => {
      for (const row of rows) {
        const known = this.#rows.get(row.id);
        if (known && known !== row) this.#rows.set(row.id, row);
      }
    });
  }

  clear(): void {
    this.#rows.clear();
  }
}
