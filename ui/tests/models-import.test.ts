import { describe, expect, it } from "vitest";
import { checked, outlook, pictured, read, Unreadable, type Item, type KnownRow } from "../src/pages/models/reading";

const bytes = (content: string) => new TextEncoder().encode(content);
const items = (value: unknown): Item[] => {
  const found = read("models.json", bytes(JSON.stringify(value)));
  if (found.kind !== "models") throw new Error(found.kind);
  return found.items;
};
const fault = (content: string | Uint8Array, name = "models.json"): string => {
  try {
    read(name, typeof content === "string" ? bytes(content) : content);
  } catch (error) {
    if (error instanceof Unreadable) return error.message;
    throw error;
  }
  return "";
};

describe("a file of models", () => {
  it("is a list, or one under `models`, or a merged list", () => {
    const row = { id: "a", name: "A", base_model_id: "b", meta: {}, params: {} };
    expect(items([row])).toEqual(items({ models: [row] }));
    expect(items([{ id: "a", name: "entry", info: { ...row, name: "row" } }])[0]).toMatchObject({
      name: "row",
      base: "b",
    });
    expect(read("x", bytes("\ufeff" + JSON.stringify([row]))).kind).toBe("models");
  });

  it("tells of each item why it cannot be read, and keeps the others", () => {
    const found = items([
      7,
      null,
      { name: "no id" },
      { id: "x".repeat(257), name: "long" },
      { id: "模".repeat(256), name: "fits" },
      { id: "nameless" },
      { id: "odd", name: "Odd", meta: [] },
      { id: "one", name: "One" },
      { id: "one", name: "One more" },
    ]);
    expect(found.map((item) => item.fault === null)).toEqual([
      false,
      false,
      false,
      false,
      true,
      false,
      false,
      true,
      false,
    ]);
    expect(found.map((item) => item.place)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it("that is broken says how", () => {
    expect(fault('[{"id": "a"')).toContain("cut off");
    expect(fault('{"models": [{"id": "a"}')).not.toBe("");
    expect(fault('[{"id": }]')).toContain("not valid JSON");
    expect(fault('{"id": "a"}')).toContain("neither");
    expect(fault("[]")).toContain("empty");
    expect(fault(" \n")).toContain("empty");
    expect(fault(new Uint8Array([0xff, 0xfe, 0x5b, 0]))).toContain("not text");
    expect(fault(new Uint8Array(20 * 1024 * 1024 + 1))).toContain("20 MB");
    expect(fault(JSON.stringify(Array(20_001).fill({})))).toContain("20,001");
    expect(fault("PARAMETER temperature 1", "Modelfile")).toContain("FROM");
  });

  it("may be a Modelfile, whose name suggests an id", () => {
    const modelfile = (name: string, content: string) => read(name, bytes(content));
    expect(modelfile("Mario Bros.Modelfile", "# x\nFROM llama3:8b\n")).toMatchObject({
      kind: "modelfile",
      id: "mario-bros",
      from: "llama3:8b",
      fromIsFile: false,
    });
    expect(modelfile("Modelfile", "from ./weights.gguf")).toMatchObject({ id: "", fromIsFile: true });
    expect(modelfile("m.txt", "FROM /blobs/sha256-abc")).toMatchObject({ id: "m", fromIsFile: true });
  });
});

describe("what would happen to an item", () => {
  const stored = (id: string, more: Partial<KnownRow> = {}): [string, KnownRow] => [
    id,
    {
      id,
      name: "Stored",
      base_model_id: "base",
      is_active: true,
      params: { temperature: 0.5, stop: ["a", "b"] },
      meta: { description: "It helps", tags: [{ name: "fast" }] },
      access_control: { read: { user_ids: ["u1", "u2"], group_ids: [] }, write: {} },
      access_grants: [],
      write_access: true,
      source: "database",
      ...more,
    },
  ];
  const known = new Map([
    stored("mine"),
    stored("theirs", { write_access: false }),
    stored("file", { source: "file" }),
  ]);
  it("follows from what is there", () => {
    const found = items(["mine", "theirs", "file", "new"].map((id) => ({ id, name: id })));
    expect(found.map((item) => outlook(item, known))).toEqual(["existing", "foreign", "declared", "new"]);
    expect(outlook(items([{}])[0]!, known)).toBe("unreadable");
  });

  it("cannot be read when its id holds a blank, unless such a row is there or it governs a base model", () => {
    const rows = new Map([...known, stored("old one")]);
    const found = items([
      { id: "a b", name: "A", base_model_id: "base" },
      { id: "old one", name: "Old", base_model_id: "base" },
      { id: "mistral large", name: "Override" },
    ]);
    const told = checked(found, rows);
    expect(told.map((item) => outlook(item, rows))).toEqual(["unreadable", "existing", "new"]);
    expect(told[0]?.fault).toContain("spaces or invisible");
  });

  it("is nothing when all that the file says of it is there", () => {
    const whole = known.get("mine")!;
    const of = (value: object) => outlook(items([{ id: "mine", name: "Stored", ...value }])[0]!, known);
    expect(of({})).toBe("same");
    expect(of({ ...whole, updated_at: 7 })).toBe("same");
    expect(of({ access_control: { read: { group_ids: [], user_ids: ["u2", "u1"] }, write: {} } })).toBe("same");
    expect(of({ meta: { description: "It helps" } })).toBe("same");
    expect(of({ name: "Other" })).toBe("existing");
    expect(of({ is_active: false })).toBe("existing");
    expect(of({ params: { temperature: 0.5 } })).toBe("existing");
    expect(of({ params: { temperature: 0.5, stop: ["b", "a"] } })).toBe("existing");
    expect(of({ meta: { more: 1 } })).toBe("existing");
    expect(of({ access_control: null })).toBe("existing");
    expect(of({ access_grants: [{ principal_type: "user", principal_id: "*", permission: "read" }] })).toBe("existing");
    expect(outlook(items([{ id: "mine", name: "entry", info: { ...whole } }])[0]!, known)).toBe("same");
  });

  it("that brings a picture is compared with the whole row", () => {
    const picture = (profile_image_url: string) => ({ meta: { profile_image_url } });
    const found = items([
      { id: "a", name: "A", ...picture("data:image/png;base64,AA==") },
      { id: "b", name: "B", ...picture("/api/v1/models/model/profile/image?id=b") },
      { id: "c", name: "C" },
    ]);
    expect(pictured(found)).toEqual(["a"]);
  });
});
