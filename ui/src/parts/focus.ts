/** Where the focus goes when the button that was pressed goes, or could not be pressed for a while. */
import { notifyManager } from "@tanstack/svelte-query";
import { tick } from "svelte";

/** To be called before the act; what comes back is called after it, and leaves alone who has done something else meanwhile.
 * `buttons`: one for each row, in `box`. The focus goes to that of the row that takes the place, or of the last one, or to
 * `instead`. */
export function passFocus(
  box: HTMLElement | undefined,
  buttons: string,
  instead: () => HTMLElement | null | undefined,
  pressed: Element | null = document.activeElement,
): () => Promise<void> {
  if (!(pressed instanceof HTMLElement) || !box?.contains(pressed)) return () => Promise.resolve();
  const found = (): HTMLElement[] => (box.isConnected ? [...box.querySelectorAll<HTMLElement>(buttons)] : []);
  const index = found().indexOf(pressed);
  // Not the focus tells who went on: what keeps it in a dialog moves it, too.
  const done = new AbortController();
  let wentOn = false;
  for (const kind of ["keydown", "pointerdown"] as const) {
    const note = (): void => void (wentOn = true);
    document.addEventListener(kind, note, { capture: true, signal: done.signal });
  }
  return async () => {
    // Queries tell what they have learned a moment after they have.
    await new Promise<void>((resolve) => notifyManager.schedule(resolve));
    await tick();
    done.abort();
    if (wentOn) return;
    const left = index < 0 ? [] : found();
    (pressed.isConnected ? pressed : (left[index] ?? left.at(-1) ?? instead()))?.focus();
  };
}

/** The page's content as a whole, where its list is gone. */
export const pageContent = (): HTMLElement | null => document.getElementById("content");
