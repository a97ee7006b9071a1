/** `1 model`, `12 models`: a count with the noun in its form for it. */
const rules = new Intl.PluralRules("en");

export const plural = (count: number, one: string, many: string): string =>
  `${count.toLocaleString("en")} ${rules.select(count) === "one" ? one : many}`;
