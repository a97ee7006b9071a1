/** Going back leads to the place on the page where one was. The router itself always goes to the top. */

// A list needs a moment until it is as long as it was.
const WAIT_MS = 5_000;
const MOST = 50;

const places = new Map<string, number>();
let wanted = 0;
let returning = 0;

/** Remembers how far each address was scrolled. */
export function keepScroll(): void {
  window.addEventListener(
    "scroll",
    () => {
      if (wanted || returning) return;
      places.set(location.href, window.scrollY);
      if (places.size > MOST) places.delete(places.keys().next().value ?? "");
    },
    { passive: true },
  );
  window.addEventListener("popstate", () => {
    leaveAlone();
    wanted = places.get(location.href) ?? 0;
  });
  for (const own of ["wheel", "touchstart", "keydown", "pointerdown"]) {
    window.addEventListener(own, leaveAlone, { passive: true });
  }
}

/** The router has put a page there and gone to its top. After a step through the history it is scrolled to its old place. */
export function arrived(): void {
  const place = wanted;
  if (!place) return;
  const until = performance.now() + WAIT_MS;
  const attempt = (): void => {
    if (document.documentElement.scrollHeight - window.innerHeight >= place) window.scrollTo(0, place);
    const there = Math.abs(window.scrollY - place) < 2;
    if (there || performance.now() > until) leaveAlone();
    else returning = requestAnimationFrame(attempt);
  };
  returning = requestAnimationFrame(attempt);
}

/** Whoever scrolls by themselves is not carried away. */
function leaveAlone(): void {
  cancelAnimationFrame(returning);
  returning = 0;
  wanted = 0;
}
