/** What waits for an administrator to decide. Pure. */
import type { Schemas } from "$api/client";
import { p } from "$app/router";
import type { Connection } from "$pages/connections/draft";
import { causeOf, stateOf } from "$pages/connections/state";
import { overview } from "$text/overview";

const text = overview.decisions;
/** How long before its end a key is told of, in seconds. */
const SOON_SECONDS = 7 * 86_400;
/** Of each kind; the rest is a number. */
const MOST_OF_A_KIND = 3;

export interface Decision {
  meaning: "bad" | "warn" | "info";
  title: string;
  /** Part of the title, linked: a name, or the whole of it. */
  href: string;
  detail: string;
}

export interface Known {
  connections?: readonly Connection[];
  keys?: readonly Schemas["Key"][];
  /** People who signed up and cannot come in yet. */
  waiting?: number;
}

/** The worst first. */
export function decisions({ connections = [], keys = [], waiting = 0 }: Known, now: number): Decision[] {
  const down = connections
    .filter((row) => stateOf(row) === "down")
    .map((row): Decision => ({
      meaning: "bad",
      title: text.down(row.name),
      href: p("/connections", { search: { id: row.id } }),
      detail: causeOf(row.error ?? ""),
    }));
  const ending = keys
    .filter((key) => key.expires_at !== null && key.expires_at > now && key.expires_at - now < SOON_SECONDS)
    // One that was replaced ends because somebody wanted it to.
    .filter((key) => !key.replaced_by)
    .map((key): Decision => ({
      meaning: "warn",
      title: text.keyEnds(key.name, Math.ceil((key.expires_at! - now) / 86_400)),
      href: p("/keys", { search: { id: key.id } }),
      detail: text.keyEndsDetail,
    }));
  const people: Decision[] = waiting
    ? [
        {
          meaning: "info",
          title: text.people(waiting),
          href: p("/people"),
          detail: "",
        },
      ]
    : [];
  return [
    ...few(down, text.moreDown, p("/connections", { search: { query: "down" } })),
    ...people,
    ...few(ending, text.moreKeys, p("/keys")),
  ];
}

function few(all: Decision[], more: (count: number) => string, href: string): Decision[] {
  const rest = all.length - MOST_OF_A_KIND;
  const first = all[0];
  if (rest <= 0 || !first) return all;
  return [...all.slice(0, MOST_OF_A_KIND), { meaning: first.meaning, title: more(rest), href, detail: "" }];
}
