import { describe, expect, it } from "vitest";
import { byLine, differences, nameIn, same, shown } from "../src/pages/audit/changes";
import { asked, midnight } from "../src/pages/audit/filter";
import { lines } from "../src/pages/audit/lines";

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

describe("differences of fields", () => {
  it("go to the leaf that differs", () => {
    const changes = { params: { old: { system: "a", top_k: 1 }, new: { system: "b", top_k: 1, temperature: 0.2 } } };
    expect(differences(changes)).toEqual([
      { field: "params.system", old: "a", new: "b" },
      { field: "params.temperature", old: undefined, new: 0.2 },
    ]);
  });

  it("never open access, where null means everyone", () => {
    const changes = { access_control: { old: {}, new: null }, "meta.access_control": { old: null, new: { read: {} } } };
    expect(differences(changes)).toEqual([
      { field: "access_control", old: {}, new: null },
      { field: "meta.access_control", old: null, new: { read: {} } },
    ]);
  });

  it("show what is no pair as it stands", () => {
    expect(differences({ unreadable: "[1" })).toEqual([{ field: "unreadable", old: undefined, new: "[1" }]);
    expect(differences({ a: null, b: [1] })).toEqual([
      { field: "a", old: undefined, new: null },
      { field: "b", old: undefined, new: [1] },
    ]);
    expect(differences(null)).toEqual([]);
  });

  it("end at a depth", () => {
    let deep: Record<string, unknown> = { end: 1 };
    for (let level = 0; level < 100; level++) deep = { in: deep };
    expect(differences({ meta: { old: {}, new: deep } })[0]?.field.split(".")).toHaveLength(7);
  });

  it("tell 1 from true and the order of fields from their values", () => {
    expect(same(1, true)).toBe(false);
    expect(same({ a: 1, b: [1, { c: null }] }, { b: [1, { c: null }], a: 1 })).toBe(true);
    expect(same([1, 2], [2, 1])).toBe(false);
    expect(same({ a: undefined }, { b: undefined })).toBe(false);
  });

  it("find the name of the object", () => {
    expect(nameIn({ name: { old: "Old", new: "New" } })).toBe("New");
    expect(nameIn({ name: { old: "Gone", new: null } })).toBe("Gone");
    expect(nameIn({ email: { old: null, new: "ann@example.com" } })).toBe("ann@example.com");
    expect(nameIn({ name: "no pair" })).toBeNull();
  });

  it("show values as text", () => {
    expect([shown(null), shown(undefined), shown(""), shown(0), shown(false)]).toEqual([null, null, "", "0", "false"]);
    expect(shown({ a: 1 })).toBe('{\n  "a": 1\n}');
    expect(byLine("a\nb", "a")).toBe(true);
    expect(byLine("a", "b")).toBe(false);
    expect(byLine(null, "a\nb")).toBe(false);
  });
});

describe("differences of lines", () => {
  it("fold what did not change", () => {
    const before = Array.from({ length: 30 }, (_, index) => `line ${index}`);
    const after = before.with(15, "changed");
    const found = lines(before.join("\n"), after.join("\n"));
    expect(found.filter((line) => line.kind === "removed")).toEqual([{ kind: "removed", text: "line 15" }]);
    expect(found.filter((line) => line.kind === "added")).toEqual([{ kind: "added", text: "changed" }]);
    expect(found[0]).toEqual({ kind: "fold", lines: before.slice(0, 13) });
    expect(found.at(-1)).toEqual({ kind: "fold", lines: before.slice(18) });
  });

  it("tell a line end at the end", () => {
    expect(lines("a", "a\n")).toEqual([
      { kind: "same", text: "a" },
      { kind: "added", text: "" },
    ]);
  });

  it("do not take long for texts that have nothing in common", () => {
    const many = (word: string) => Array.from({ length: 4000 }, (_, index) => `${word}${index}`).join("\n");
    const begun = performance.now();
    expect(lines(many("a"), many("b"))).toHaveLength(8000);
    expect(performance.now() - begun).toBeLessThan(2000);
  });
});
