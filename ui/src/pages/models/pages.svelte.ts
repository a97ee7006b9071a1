/** The rows of the list, a page of the server's at a time: those in sight are asked for when they come into sight. */
import { createQueries, useQueryClient } from "@tanstack/svelte-query";
import { api, body, type Schemas } from "$api/client";
import type { Seen } from "$parts/windowing";
import { listQuery, PAGE, pagesOf, type Filters } from "./filters";

export type ListedRow = Schemas["OwnedModel"];
type Answer = Schemas["Models"];

interface Found {
  answers: (Answer | undefined)[];
  error: Error | null;
  fetching: boolean;
}

/** While a hand scrolls fast, pages that only fly by are not asked for. */
const REST_MS = 60;

export class ModelPages {
  readonly #client = useQueryClient();
  readonly #filters: () => Filters;
  #wanted = $state.raw<number[]>([1]);
  #resting: ReturnType<typeof setTimeout> | undefined;
  readonly #found: Found;
  /** The last answers that were whole: they stay while others are on their way. */
  #settled = $state.raw<{ pages: number[]; answers: (Answer | undefined)[] } | null>(null);

  constructor(filters: () => Filters) {
    this.#filters = filters;
    this.#found = createQueries(() => ({
      queries: this.#wanted.map((page) => this.#options(page)),
      combine: (results: { data: Answer | undefined; error: Error | null; isFetching: boolean }[]) => ({
        answers: results.map((result) => result.data),
        error: results.find((result) => result.error)?.error ?? null,
        fetching: results.some((result) => result.isFetching),
      }),
    })) as Found;
    $effect(() => {
      if (this.#found.answers.some(Boolean)) {
        this.#settled = { pages: this.#wanted, answers: this.#found.answers };
      }
    });
  }

  #options(page: number) {
    const filters = this.#filters();
    return {
      queryKey: ["models", "list", filters, page],
      queryFn: ({ signal }: { signal: AbortSignal }) =>
        body(api.GET("/api/v1/models/list", { params: { query: listQuery(filters, page) }, signal })),
    };
  }

  /** Nothing of the new filters is there yet. */
  get isStale(): boolean {
    return !this.#found.answers.some(Boolean);
  }

  get isPending(): boolean {
    return this.isStale && this.#settled === null && this.error === null;
  }

  get isFetching(): boolean {
    return this.#found.fetching;
  }

  get error(): Error | null {
    return this.isStale ? this.#found.error : null;
  }

  get total(): number {
    return this.#any?.total ?? 0;
  }

  get counts(): Schemas["Counts"] | undefined {
    return this.#any?.counts;
  }

  get #any(): Answer | undefined {
    return this.#found.answers.find(Boolean) ?? this.#settled?.answers.find(Boolean);
  }

  #known(page: number): Answer | undefined {
    return this.#client.getQueryData<Answer>(this.#options(page).queryKey);
  }

  /** Rows that have come and may be in sight. */
  get loaded(): ListedRow[] {
    const answers = this.isStale ? this.#settled?.answers : this.#found.answers;
    return (answers ?? []).flatMap((answer) => answer?.items ?? []);
  }

  /** Some of them may be changed by the person. */
  get someChangeable(): boolean {
    return this.loaded.some((row) => row.write_access && row.source !== "file");
  }

  /** The row at an index from 0; undefined until it has come. */
  at(index: number): ListedRow | undefined {
    const page = Math.floor(index / PAGE) + 1;
    const answer = this.isStale
      ? this.#settled?.answers[this.#settled.pages.indexOf(page)]
      : // A row that keeps the focus may be of a page that is no longer in sight.
        (this.#found.answers[this.#wanted.indexOf(page)] ?? this.#known(page));
    return answer?.items[index % PAGE];
  }

  show({ first, last }: Seen): void {
    const next = pagesOf(first, last);
    clearTimeout(this.#resting);
    if (next.join() === this.#wanted.join()) return;
    if (next.every((page) => this.#known(page))) this.#wanted = next;
    else this.#resting = setTimeout(() => (this.#wanted = next), REST_MS);
  }

  again(): void {
    void this.#client.invalidateQueries({ queryKey: ["models", "list"] });
  }

  /** Up to `most` rows from the top, whether they have been in sight or not. */
  async first(most: number): Promise<ListedRow[]> {
    const rows: ListedRow[] = [];
    for (let page = 1; rows.length < most; page++) {
      const answer = await this.#client.fetchQuery(this.#options(page));
      rows.push(...answer.items);
      if (page * PAGE >= answer.total) break;
    }
    return rows.slice(0, most);
  }
}
