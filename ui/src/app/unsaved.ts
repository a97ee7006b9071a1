/** Texts that outlive their page, such as the document under "As code". Other pages take nothing from them, but signing out
 * and closing the tab do, whatever page is open then; so these ask. */
import { session } from "./session.svelte";

const kept: (() => boolean)[] = [];

/** Must be called once for each text. `dirty`: it would be lost. */
export function outlivesItsPage(dirty: () => boolean): void {
  kept.push(dirty);
}

export const holdsUnsaved = (): boolean => kept.some((dirty) => dirty());

// Who has signed out was asked already.
addEventListener("beforeunload", (event) => {
  if (session.person && holdsUnsaved()) event.preventDefault();
});
