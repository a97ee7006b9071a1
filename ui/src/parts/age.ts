/** Points in time (whole seconds since 1970, as the API gives them) as people say them. */
import { common } from "$text/common";

/** `3 min`, `in 2 h`, `now`. */
export function age(seconds: number, now = Date.now() / 1000): string {
  const gone = Math.round(now - seconds);
  const text = span(Math.abs(gone));
  return gone < 0 && text !== common.age.now ? common.age.in(text) : text;
}

/** A length of time in its largest whole unit. */
export function span(seconds: number): string {
  if (seconds < 5) return common.age.now;
  if (seconds < 60) return common.age.seconds(Math.round(seconds));
  if (seconds < 3600) return common.age.minutes(Math.floor(seconds / 60));
  if (seconds < 86_400) return common.age.hours(Math.floor(seconds / 3600));
  return common.age.days(Math.floor(seconds / 86_400));
}

const exactly = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** The exact time in the reader's zone. */
export function exact(seconds: number): string {
  return exactly.format(seconds * 1000);
}
