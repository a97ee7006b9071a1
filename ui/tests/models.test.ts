import { describe, expect, it } from "vitest";
import { slots, seen } from "../src/parts/windowing";
import { filtersOf, listQuery, narrows, pagesOf, sortedBy } from "../src/pages/models/filters";
import { stateOf, statesById, type KnownState } from "../src/pages/models/state";

const from = (values: Record<string, string>) => filtersOf((name) => values[name] ?? "");

describe("filters in the address", () => {
  it("are as at first where the address says nothing, or nonsense", () => {
    const first = { query: "", view: "", tag: "", order: "name", descending: false };
    expect(from({})).toEqual(first);
    expect(from({ view: "mine", sort: "size", dir: "" })).toEqual(first);
    expect(narrows(from({}))).toBe(false);
    expect(narrows(from({ tag: "fast" }))).toBe(true);
  });

  it("ask the server for what they say", () => {
    expect(listQuery(from({ q: "llama", view: "shared", tag: "fast", sort: "updated" }), 3)).toEqual({
      query: "llama",
      view_option: "shared",
      tag: "fast",
      order_by: "updated_at",
      direction: "desc",
      page: 3,
      limit: 100,
    });
    expect(listQuery(from({ dir: "desc" }), 1)).toMatchObject({ order_by: "name", direction: "desc" });
  });

  it("turn a column round at the second press and come back at the third", () => {
    let address: Record<string, string> = {};
    const seenOrders = [];
    for (let press = 0; press < 3; press++) {
      address = { ...address, ...sortedBy(from(address), "updated_at") };
      const { order, descending } = from(address);
      seenOrders.push([order, descending]);
    }
    expect(seenOrders).toEqual([
      ["updated_at", true],
      ["updated_at", false],
      ["updated_at", true],
    ]);
    expect(sortedBy(from(address), "name")).toEqual({ sort: "", dir: "" });
  });

  it("find the pages of the rows in sight", () => {
    expect(pagesOf(0, 0)).toEqual([1]);
    expect(pagesOf(95, 120)).toEqual([1, 2]);
    expect(pagesOf(4900, 4999)).toEqual([50]);
    expect(pagesOf(0, -1)).toEqual([1]);
  });
});

describe("rows in the document", () => {
  it("are those in sight and a few around, with gaps of the right size", () => {
    const found = slots(5000, { first: 100, last: 110 }, null);
    expect(found[0]).toEqual({ kind: "gap", rows: 94, after: 0 });
    expect(found.at(-1)).toEqual({ kind: "gap", rows: 5000 - 117, after: 117 });
    expect(found.filter((slot) => slot.kind === "row")).toHaveLength(23);
  });

  it("make up the whole list, whatever is in sight and whatever has the focus", () => {
    for (const pinned of [null, 0, 3, 50, 99, 1000]) {
      for (const first of [0, 1, 40, 95, 99]) {
        const found = slots(100, { first, last: Math.min(99, first + 9) }, pinned);
        const rows = found.map((slot) => (slot.kind === "gap" ? slot.rows : 1)).reduce((sum, count) => sum + count, 0);
        expect(rows).toBe(100);
        if (pinned !== null && pinned < 100) {
          expect(found).toContainEqual({ kind: "row", index: pinned });
        }
      }
    }
    expect(slots(0, { first: 0, last: 0 }, null)).toEqual([]);
  });

  it("are counted from the scrolled distance", () => {
    expect(seen(200, 900, 56, 5000)).toEqual({ first: 0, last: 13 });
    expect(seen(-5600, 900, 56, 5000)).toEqual({ first: 100, last: 117 });
    expect(seen(-5600, 900, 56, 3)).toEqual({ first: 2, last: 2 });
    expect(seen(0, 900, 56, 0)).toEqual({ first: 0, last: 0 });
  });
});

describe("the state of a model", () => {
  const known = (state: string, connection = "gpu"): KnownState => ({
    model_id: "m",
    connection_id: connection,
    connection,
    state,
    reason: state === "failed" ? "out of memory" : null,
    updated_at: 1,
  });

  it("says what matters most", () => {
    expect(stateOf(false, true).name).toBe("disabled");
    expect(stateOf(true, false, [known("loaded")]).name).toBe("offline");
    expect(stateOf(true, true).name).toBe("active");
    expect(stateOf(true, true, [known("not_supported")]).name).toBe("active");
    expect(stateOf(true, true, [known("unloaded")]).name).toBe("active");
    expect(stateOf(true, true, [known("failed"), known("loaded", "cpu")]).name).toBe("loaded");
    expect(stateOf(true, true, [known("loaded"), known("loading", "cpu")])).toMatchObject({
      name: "loading",
      moving: true,
    });
    expect(stateOf(true, true, [known("failed")]).reason).toBe("gpu: out of memory");
  });

  it("is found by the model's id", () => {
    const found = statesById([known("loaded"), { ...known("failed"), model_id: "n" }, known("failed", "cpu")]);
    expect(found.get("m")).toHaveLength(2);
    expect(found.get("n")).toHaveLength(1);
  });
});
