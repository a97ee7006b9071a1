/** The variables of a system prompt: a closed set that the server fills in for every call (`policy/presets.py`). */
import { editor } from "$text/editor";

type Variable = keyof typeof editor.variables;
export const variables = Object.keys(editor.variables) as Variable[];

const PATTERN = /\{\{\s*([A-Z_]+)\s*\}\}/g;
const two = (number: number): string => String(number).padStart(2, "0");

/** Values as they would be now for this person. What an account does not hold is told as `None`. */
export function examples(person: { name: string; email: string }, now = new Date()): Record<Variable, string> {
  const date = `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
  const time = `${two(now.getHours() % 12 || 12)}:${two(now.getMinutes())}:${two(now.getSeconds())} ${now.getHours() < 12 ? "AM" : "PM"}`;
  return {
    CURRENT_DATE: date,
    CURRENT_TIME: time,
    CURRENT_DATETIME: `${date} ${time}`,
    CURRENT_WEEKDAY: new Intl.DateTimeFormat("en", { weekday: "long" }).format(now),
    CURRENT_TIMEZONE: Intl.DateTimeFormat().resolvedOptions().timeZone,
    USER_NAME: person.name || "Unknown",
    USER_EMAIL: person.email || "Unknown",
    USER_BIO: "None",
    USER_GENDER: "None",
    USER_BIRTH_DATE: "None",
    USER_AGE: "None",
    USER_LOCATION: "None",
  };
}

export function filledIn(text: string, values: Record<string, string>): string {
  return text.replace(PATTERN, (whole, name: string) => values[name] ?? whole);
}

/** Names in double braces that nobody fills in. */
export function unknownVariables(text: string): string[] {
  const found = new Set<string>();
  for (const match of text.matchAll(/\{\{\s*([^{}]{1,60}?)\s*\}\}/g)) {
    const name = match[1] ?? "";
    if (!Object.hasOwn(editor.variables, name)) found.add(name);
  }
  return [...found];
}
