/** The state of a page that lives in its address, such as `?query=llama&tag=fast`, as strings. */
import { searchParams } from "sv-router";
import { navigate, route } from "./router";

/** The value of a name in the address, reactive; empty when it is not there. */
export function queryValue(name: string): string {
  return searchParams.toURLSearchParams().get(name) ?? "";
}

/** The page of a list that the address asks for, from 1. */
export function pageNumber(): number {
  const page = Number(queryValue("page"));
  return Number.isSafeInteger(page) && page > 0 ? page : 1;
}

/** Changes values in the address; an empty one goes. A step that Back should undo (a drawer) asks for `push`. Done when
 * every guard of unsaved changes has let it. */
export async function setQuery(changes: Record<string, string>, { push = false } = {}): Promise<void> {
  const next = searchParams.toURLSearchParams();
  for (const [name, value] of Object.entries(changes)) {
    if (value) next.set(name, value);
    else next.delete(name);
  }
  const found = next.toString();
  if (found === searchParams.toString()) return;
  await navigate(route.pathname as "/overview", { search: found && `?${found}`, replace: !push, scrollToTop: false });
}
