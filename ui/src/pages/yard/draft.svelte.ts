import { outlivesItsPage } from "$app/unsaved";
import { undoable } from "$parts/notify";
import { yard } from "$text/yard";

/** The document that somebody is writing. It outlives the page, so that looking something up elsewhere loses nothing. It is
 * only in memory, because it may hold secrets, and signing out, which loads the interface anew, leaves nothing of it. */
class Draft {
  text = $state("");
  /** Objects that the document does not name stay: a first document is rarely complete. */
  keep = $state(true);
  /** A text that is kept elsewhere too: what was exported, or applied. */
  kept = $state("");

  /** Another text in place of what is there, which can be had back. */
  put(text: string): void {
    const before = this.text;
    this.text = text;
    if (before.trim() && before !== text) undoable(yard.change.replaced, () => void (this.text = before));
  }

  get dirty(): boolean {
    return this.text.trim() !== "" && this.text !== this.kept;
  }
}

export const draft = new Draft();
outlivesItsPage(() => draft.dirty);
