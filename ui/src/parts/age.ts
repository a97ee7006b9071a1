/** Points in time (whole seconds since 1970, as the API gives them) as people say them. */
import { general } from "$text/general";

/** `3 min`, `in 2 h`, `now`. */
export function age(seconds: number, now = Date.now() / 1000): string {
  const gone = Math.round(now - seconds);
  const text = span(Math.abs(gone));
  return gone < 0 && text !== general.age.now ? general.age.in(text) : text;
}

/** A length of time in its largest whole unit. */
export function span(seconds: number): string {
  if (seconds < 5) return general.age.now;
  if (seconds < 60) return general.age.seconds(Math.round(seconds));
  if (seconds < 3600) return general.age.minutes(Math.floor(seconds / 60));
  if (seconds < 86_400) return general.age.hours(Math.floor(seconds / 3600));
  return general.age.days(Math.floor(seconds / 86_400));
}

const exactly = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** The exact time in the reader's zone. */
export function exact(seconds: number): string {
  return exactly.format(seconds * 1000);
}
