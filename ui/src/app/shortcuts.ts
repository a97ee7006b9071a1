/** Keys that work on any page. Pages say what they mean by attributes: `data-row` with `data-open`, `data-pick` and `data-edit` in
 * it, `data-create`, `data-search`. The focus is the cursor, so what is read aloud and what a key acts on are the same. */

/** Keys that go on while they are held; any other acts once. */
const HELD = new Set(["j", "k"]);

/** The key that was meant, `palette` for Ctrl/Cmd K; null while the person types text or holds a modifier. */
export function keyOf(event: KeyboardEvent): string | null {
  if (event.defaultPrevented || event.isComposing || (event.repeat && !HELD.has(event.key))) return null;
  if ((event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && event.key.toLowerCase() === "k") {
    return "palette";
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  return event.target instanceof Element && takesText(event.target) ? null : event.key;
}

const TEXTLESS = new Set(["button", "checkbox", "radio", "range", "submit", "reset", "file", "color"]);

function takesText(element: Element): boolean {
  if (element instanceof HTMLInputElement) return !TEXTLESS.has(element.type);
  return element.closest("textarea, select, [contenteditable], [role=combobox]") !== null;
}

/** The row that has the focus. */
export const currentRow = (): Element | null => document.activeElement?.closest("[data-row]") ?? null;

/** Moves the focus to the next or previous row. False when there is none. */
export function moved(step: 1 | -1): boolean {
  const all = [...document.querySelectorAll("[data-row]")];
  const current = currentRow();
  const next = current ? all[all.indexOf(current) + step] : all[0];
  const target = next?.querySelector<HTMLElement>("[data-open]");
  target?.focus();
  return target !== null && target !== undefined;
}

/** Keys that were pressed before anything could act on them, in their order. */
let early: string[] = [];

function keep(event: KeyboardEvent): void {
  const key = keyOf(event);
  if (key === null) return;
  early.push(key);
  // What the browser itself would make of it.
  if (key === "palette" || key === "/") event.preventDefault();
}

/** Keeps keys from now on. To be called while the page is still loading. */
export function keepKeys(): void {
  window.addEventListener("keydown", keep);
}

/** Ends that, and gives what was kept. */
export function keptKeys(): string[] {
  window.removeEventListener("keydown", keep);
  const kept = early;
  early = [];
  return kept;
}
