/** Takes back what a document did, in one step. */
import type { QueryClient } from "@tanstack/svelte-query";
import { api, body, type Schemas } from "$api/client";
import { failed, said, undoable } from "$parts/notify";
import { yard } from "$text/yard";

/** Offers to go back to the state before. Not when that is the same document: only a secret was another one then. */
export function offerUndo(
  done: Schemas["Applied"],
  message: string,
  queries: QueryClient,
  undone: () => void = () => undefined,
): void {
  const { revision, before } = done;
  if (revision === null) return said(yard.change.nothingApplied);
  if (before === null || before === revision) return said(message);
  undoable(message, async () => {
    try {
      const back = await body(api.POST("/api/v1/yard/rollback", { body: { revision: before, values: {} } }));
      said(back.revision === null ? yard.change.nothingApplied : yard.revisions.done(back.revision));
      undone();
      void queries.invalidateQueries();
    } catch (error) {
      failed(error);
    }
  });
}
