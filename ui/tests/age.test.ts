import { describe, expect, it } from "vitest";
import { age, span } from "../src/parts/age";

describe("ages", () => {
  it.each([
    [0, "now"],
    [42, "42 s"],
    [180, "3 min"],
    [7200, "2 h"],
    [86_400, "1 day"],
    [86_400 * 40, "40 days"],
  ])("says %i seconds as %s", (seconds, text) => expect(span(seconds)).toBe(text));

  it("says what lies ahead", () => {
    expect(age(1_000_120, 1_000_000)).toBe("in 2 min");
    expect(age(1_000_001, 1_000_000)).toBe("now");
  });
});
