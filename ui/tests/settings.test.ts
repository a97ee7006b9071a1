import { describe, expect, it } from "vitest";
import { arenaOf, rawOf } from "../src/pages/settings/arena";
import { changed, listed, moved, unsent } from "../src/pages/settings/lists";

describe("what was typed while something was saved", () => {
  it("is what differs and was not sent, or was changed again since", () => {
    const old = { a: 1, b: 1, c: 1, d: 1 };
    expect(unsent(old, { a: 2, b: 3, c: 2, d: 1 }, { a: 2, b: 2 })).toEqual({ b: 3, c: 2 });
    expect(unsent(old, { ...old, a: 2 }, { a: 2 })).toEqual({});
  });
});

describe("lists of ids", () => {
  it("move an item, and nothing when there is no place", () => {
    expect(moved(["a", "b", "c"], 2, 0)).toEqual(["c", "a", "b"]);
    expect(moved(["a", "b", "c"], 0, 1)).toEqual(["b", "a", "c"]);
    expect(moved(["a"], 0, 1)).toEqual(["a"]);
    expect(moved(["a"], 0, -1)).toEqual(["a"]);
  });

  it("come from the API's text", () => {
    expect(listed("a, b,,c")).toEqual(["a", "b", "c"]);
    expect(listed(null)).toEqual([]);
  });

  it("send only what differs", () => {
    expect(changed({ a: [1], b: 2 }, { a: [1], b: 3 })).toEqual({ b: 3 });
    expect(changed({ a: {} }, { a: {} })).toEqual({});
  });
});

describe("an arena entry", () => {
  it("keeps what this form does not know", () => {
    const raw = { id: "a", name: "A", more: 1, meta: { profile_image_url: "/x", access_control: null } };
    const stored = rawOf(arenaOf(raw));
    expect(stored).toMatchObject({ id: "a", more: 1, meta: { profile_image_url: "/x" } });
    expect(arenaOf(stored).access).toBe("everyone");
    expect(stored.meta).not.toHaveProperty("access_control");
  });

  it.each([
    [{}, "administrators"],
    [{ access_control: null }, "everyone"],
    [{ access_control: {} }, "administrators"],
    [{ access_control: { read: { user_ids: ["*"] } } }, "everyone"],
    [{ access_control: { read: { group_ids: ["g"] } } }, "chosen"],
    [{ access_control: null, access_grants: [] }, "administrators"],
    [{ access_grants: [{ principal_type: "user", principal_id: "*", permission: "read" }] }, "everyone"],
    [{ access_grants: [{ principal_type: "group", principal_id: "g", permission: "read" }] }, "chosen"],
  ])("is open as the server reads it: %j", (meta, access) => {
    expect(arenaOf({ id: "a", name: "A", meta }).access).toBe(access);
    expect(arenaOf(rawOf(arenaOf({ id: "a", name: "A", meta }))).access).toBe(access);
  });

  it("stands for all models when none are named", () => {
    expect(arenaOf({ meta: { filter_mode: "exclude" } }).mode).toBe("all");
    expect(arenaOf({ meta: { filter_mode: "exclude", model_ids: ["x"] } }).mode).toBe("exclude");
    expect(rawOf({ ...arenaOf({ meta: { model_ids: ["x"] } }), mode: "all" }).meta).toMatchObject({ model_ids: null });
  });
});
