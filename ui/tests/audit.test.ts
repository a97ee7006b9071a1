import { describe, expect, it } from "vitest";
import { asked, midnight } from "../src/pages/audit/filter";

const NOTHING = { entity_type: "", action: "", user_id: "", entity_id: "", from: "", to: "" };

describe("filters of the address", () => {
  it("leave out what is not chosen", () => {
    expect(asked(NOTHING)).toEqual({});
    expect(asked({ ...NOTHING, entity_type: "model", user_id: "ann", entity_id: "a/b" })).toEqual({
      entity_type: "model",
      user_id: "ann",
      entity_id: "a/b",
    });
  });

  it("take the whole of both days, in the reader's zone", () => {
    const found = asked({ ...NOTHING, from: "2026-11-01", to: "2026-11-01" });
    expect(found.from).toBe(String(new Date(2026, 10, 1).getTime() / 1000));
    expect(found.to).toBe(String(new Date(2026, 10, 2).getTime() / 1000));
  });

  it.each(["2026-13-01", "2026-02-30", "yesterday", "", "2026-11-01x", "0"])("know no day %j", (day) => {
    expect(midnight(day, 0)).toBeNull();
    expect(asked({ ...NOTHING, from: day, to: day })).toEqual({});
  });
});
