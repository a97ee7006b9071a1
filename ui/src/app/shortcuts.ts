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

export const rows = {
  /** The row that has the focus. */
  current: (): Element | null => document.activeElement?.closest("[data-row]") ?? null,
};

/** Moves the focus to the next or previous row. False when there is none. */
export function moved(step: 1 | -1): boolean {
  const all = [...document.querySelectorAll("[data-row]")];
  const current = rows.current();
  const next = current ? all[all.indexOf(current) + step] : all[0];
  const target = next?.querySelector<HTMLElement>("[data-open]");
  target?.focus();
  return target !== null && target !== undefined;
}
