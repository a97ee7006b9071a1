/** Going back leads to the place on the page where one was, and the focus to the row that one opened there. The router itself
 * always goes to the top. */

// A list needs a moment until it is as long as it was.
const WAIT_MS = 5_000;
const MOST = 50;

interface Place {
  top: number;
  /** Where the link of the row leads that was pressed last; null when something else was. */
  row: string | null;
}

const places = new Map<string, Place>();
let wanted: Place | null = null;
let returning = 0;

function remember(change: Partial<Place>): void {
  places.set(location.href, { top: 0, row: null, ...places.get(location.href), ...change });
  if (places.size > MOST) places.delete(places.keys().next().value ?? "");
}

/** Remembers how far each address was scrolled, and which row was opened there. */
export function keepScroll(): void {
  window.addEventListener(
    "scroll",
    () => {
      if (!wanted && !returning) remember({ top: window.scrollY });
    },
    { passive: true },
  );
  // Before the row's own link leads away. An entry of a row's menu belongs to the row whose menu was pressed before.
  window.addEventListener(
    "click",
    (event) => {
      const pressed = event.target instanceof Element ? event.target : null;
      if (pressed?.closest("[role=menu]")) return;
      remember({ row: pressed?.closest("[data-row]")?.querySelector("[data-open]")?.getAttribute("href") ?? null });
    },
    { capture: true },
  );
  window.addEventListener("popstate", () => {
    leaveAlone();
    wanted = places.get(location.href) ?? null;
  });
  for (const own of ["wheel", "touchstart", "keydown", "pointerdown"]) {
    window.addEventListener(own, leaveAlone, { passive: true });
  }
}

/** The router has put a page there and gone to its top. After a step through the history it is scrolled to its old place, and
 * the row that was opened has the focus again. */
export function arrived(): void {
  if (!wanted?.top && !wanted?.row) return leaveAlone();
  const { top, row } = wanted;
  cancelAnimationFrame(returning);
  const until = performance.now() + WAIT_MS;
  const attempt = (): void => {
    if (document.documentElement.scrollHeight - window.innerHeight >= top) window.scrollTo(0, top);
    const opened = row === null ? null : document.querySelector<HTMLElement>(`[data-open][href="${CSS.escape(row)}"]`);
    const there = Math.abs(window.scrollY - top) < 2 && (row === null || opened !== null);
    if (there) opened?.focus({ preventScroll: true });
    if (there || performance.now() > until) leaveAlone();
    else returning = requestAnimationFrame(attempt);
  };
  returning = requestAnimationFrame(attempt);
}

/** Whoever scrolls by themselves is not carried away. */
function leaveAlone(): void {
  cancelAnimationFrame(returning);
  returning = 0;
  wanted = null;
}
