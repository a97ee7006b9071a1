/** Puts text on the clipboard, also on plain http where browsers have no clipboard API. False when it was refused. */
export async function copyText(text: string): Promise<boolean> {
  if (window.isSecureContext && navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Refused by a policy; the older way may still do.
    }
  }
  const before = document.activeElement;
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "sr-only";
  // A dialog keeps the focus within itself; with one above another it is the upper one that does.
  (before?.closest("[role=dialog]") ?? [...document.querySelectorAll("[role=dialog]")].at(-1) ?? document.body).append(
    area,
  );
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (before instanceof HTMLElement) before.focus();
  return done;
}
