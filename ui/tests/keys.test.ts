import { describe, expect, test } from "vitest";
import { blank, differing, draftOf, sent } from "../src/pages/keys/draft";
import { expiryOf, found, limitsInWords, stateOf, tryLine, type Key } from "../src/pages/keys/key";

const NOW = 1_800_000_000;
const key = (fields: Partial<Key> = {}): Key => ({
  id: "k1",
  name: "agent",
  user_id: "u1",
  hint: "sk-my-…abcd",
  models: null,
  dialects: null,
  expires_at: null,
  limits: {},
  replaced_by: null,
  source: "database",
  created_at: 1,
  ...fields,
});

describe("state of a key", () => {
  test.each([
    ["active", {}],
    ["active", { expires_at: NOW + 1 }],
    ["expired", { expires_at: NOW }],
    ["expired", { expires_at: NOW - 1, replaced_by: "k2" }],
    ["ending", { expires_at: NOW + 60, replaced_by: "k2" }],
    ["empty", { hint: "" }],
  ] as const)("%s", (state, fields) => expect(stateOf(key(fields), NOW)).toBe(state));
});

test("a search looks at name, owner, characters and models, with every word", () => {
  const one = key({ name: "Build Agent", models: ["tiny/llama"] });
  for (const text of ["", "agent", "BUILD ada", "llama", "abcd", "k1"])
    expect(found(one, "Ada", text), text).toBe(true);
  for (const text of ["agent bob", "gpt"]) expect(found(one, "Ada", text), text).toBe(false);
});

describe("expiry", () => {
  test("presets count from now", () => {
    expect(expiryOf("days30", "", null, NOW + 0.6)).toBe(NOW + 30 * 86_400);
    expect(expiryOf("days90", "", null, NOW)).toBe(NOW + 90 * 86_400);
    expect(expiryOf("never", "", NOW, NOW)).toBeNull();
    expect(expiryOf("keep", "", NOW + 5, NOW)).toBe(NOW + 5);
  });
  test("a date lasts to its end, and lies in the future", () => {
    expect(expiryOf("date", "2030-12-31", null, NOW)).toBe(new Date(2030, 11, 31, 23, 59, 59).getTime() / 1000);
    for (const date of ["", "2001-01-01", "soon"]) expect(expiryOf("date", date, null, NOW), date).toBeNaN();
  });
});

test("what is sent: empty lists mean all, names are trimmed", () => {
  expect(sent({ ...blank(), name: " a " }, null, NOW)).toEqual({
    name: "a",
    models: null,
    dialects: null,
    limits: { rpm: null, tpm: null, concurrency: null },
    expires_at: null,
  });
  const whole = key({ models: ["m"], dialects: ["ollama"], limits: { rpm: 5, tpm: null }, expires_at: NOW + 9 });
  expect(sent(draftOf(whole), whole.expires_at, NOW)).toEqual({
    name: "agent",
    models: ["m"],
    dialects: ["ollama"],
    limits: { rpm: 5, tpm: null, concurrency: null },
    expires_at: NOW + 9,
  });
});

test("a change sends what was changed, so that what somebody else changed meanwhile stays", () => {
  const was = sent(draftOf(key({ limits: { rpm: 5 } })), null, NOW);
  const draft = { ...draftOf(key({ limits: { rpm: 5 } })), name: "new name" };
  expect(differing(sent(draft, null, NOW), was)).toEqual({ name: "new name" });
  const tighter = { ...draft, limits: { rpm: 4, tpm: null, concurrency: null } };
  expect(differing(sent(tighter, null, NOW), was)).toEqual({ name: "new name", limits: tighter.limits });
});

test("limits and the line to try are in words", () => {
  const units = { rpm: "calls/min", tpm: "tokens/min", concurrency: "at once" };
  expect(limitsInWords({ rpm: 60, tpm: 100_000, concurrency: 4 }, units)).toBe(
    "60 calls/min · 100k tokens/min · 4 at once",
  );
  expect(limitsInWords({}, units)).toBe("");
  expect(tryLine("https://host/base", "sk-1")).toBe('curl https://host/base/v1/models -H "Authorization: Bearer sk-1"');
});
