import { outlivesItsPage } from "$app/unsaved";

/** The document that somebody is writing. It outlives the page, so that looking something up elsewhere loses nothing. It is
 * only in memory, because it may hold secrets, and signing out, which loads the interface anew, leaves nothing of it. */
class Draft {
  text = $state("");
  keep = $state(false);
  /** A text that is kept elsewhere too: what was exported, or applied. */
  kept = $state("");

  get dirty(): boolean {
    return this.text.trim() !== "" && this.text !== this.kept;
  }
}

export const draft = new Draft();
outlivesItsPage(() => draft.dirty);
