/** Figures of an answer as people read them. */
import { compact, exact } from "$parts/numbers";

/** `12.4k`; below ten thousand every digit. */
export function tokens(count: number | null): string {
  if (count === null) return "–";
  return count < 10_000 ? exact(count) : compact(count);
}

/** `840 ms`, `2.1 s`. */
export function duration(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
}

export function pace(perSecond: number): string {
  return perSecond < 100 ? perSecond.toFixed(1) : exact(perSecond);
}

/** With as many digits as it takes to be true: `$0.0021`. */
export function dollars(amount: number): string {
  if (amount === 0) return "$0";
  const digits = amount >= 1 ? 2 : Math.min(10, 1 - Math.floor(Math.log10(amount)));
  return `$${amount.toFixed(Math.max(2, digits))}`;
}
