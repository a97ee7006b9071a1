import { exact } from "$parts/numbers";

const rules = new Intl.PluralRules("en");

/** `1 model`, `5,000 models`: a count with the noun in its form for it. */
export const plural = (count: number, one: string, many: string): string =>
  `${exact(count)} ${rules.select(count) === "one" ? one : many}`;
