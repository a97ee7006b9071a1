/** Going back leads to the place on the page where one was. The router itself always goes to the top. */

// A list needs a moment until it is as long as it was.
const WAIT_MS = 2_000;
const MOST = 50;

/** Remembers how far each address was scrolled, and goes there again on steps through the history. */
export function keepScroll(): void {
  const places = new Map<string, number>();
  let returning = 0;
  window.addEventListener(
    "scroll",
    () => {
      if (returning) return;
      places.set(location.href, window.scrollY);
      if (places.size > MOST) places.delete(places.keys().next().value ?? "");
    },
    { passive: true },
  );
  window.addEventListener("popstate", () => {
    cancelAnimationFrame(returning);
    const wanted = places.get(location.href) ?? 0;
    const until = performance.now() + WAIT_MS;
    const attempt = (): void => {
      if (document.documentElement.scrollHeight - window.innerHeight >= wanted) window.scrollTo(0, wanted);
      const there = Math.abs(window.scrollY - wanted) < 2;
      returning = there || performance.now() > until ? 0 : requestAnimationFrame(attempt);
    };
    if (wanted) returning = requestAnimationFrame(attempt);
  });
}
