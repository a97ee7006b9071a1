/** What the list shows, as it stands in the address, and what is asked of the server for it. */

export type Order = "name" | "updated_at";

export interface Filters {
  query: string;
  view: "" | "created" | "shared";
  tag: string;
  order: Order;
  descending: boolean;
}

/** Rows that are asked for at once: the most that the server gives. */
export const PAGE = 100;

/** The filters that the address names. What it does not name, or names wrongly, is as at first. */
export function filtersOf(value: (name: string) => string): Filters {
  const view = value("view");
  const order: Order = value("sort") === "updated" ? "updated_at" : "name";
  const direction = value("dir");
  return {
    query: value("q").slice(0, 500),
    view: view === "created" || view === "shared" ? view : "",
    tag: value("tag").slice(0, 500),
    order,
    descending: direction ? direction === "desc" : order === "updated_at",
  };
}

/** The query of `GET /api/v1/models/list` for one page, from 1. */
export function listQuery(filters: Filters, page: number) {
  return {
    query: filters.query,
    view_option: filters.view,
    ...(filters.tag ? { tag: filters.tag } : {}),
    order_by: filters.order,
    direction: filters.descending ? ("desc" as const) : ("asc" as const),
    page,
    limit: PAGE,
  };
}

/** What a press on a column's head changes in the address: first its natural direction, then the other one. */
export function sortedBy(filters: Filters, order: Order): Record<string, string> {
  const natural = order === "updated_at";
  const descending = filters.order === order ? !filters.descending : natural;
  return {
    sort: order === "updated_at" ? "updated" : "",
    dir: descending === natural ? "" : descending ? "desc" : "asc",
  };
}

/** True when anything narrows the list. */
export function narrows(filters: Filters): boolean {
  return filters.query !== "" || filters.view !== "" || filters.tag !== "";
}

/** The pages, from 1, that hold the rows from `first` to `last`, both counted from 0. */
export function pagesOf(first: number, last: number): number[] {
  const begin = Math.floor(Math.max(0, first) / PAGE);
  const end = Math.floor(Math.max(first, last, 0) / PAGE);
  return Array.from({ length: end - begin + 1 }, (_, index) => begin + index + 1);
}
